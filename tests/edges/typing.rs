//! What is typed: every mistake is one line, in the order of the lines, and help fits the terminal.

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener};
use std::process::Command;

use crate::namespace;
use crate::running::RunDir;

#[test]
fn every_mistake_is_one_line_and_those_of_the_command_line_come_first() {
    let dir = RunDir::new();
    dir.write(
        "f",
        "intervall 2s\ntimeout 5s\nuser no-such-user\ntarget \"my service\" h 443\nslow 5s\ntarget web h:443\n\
         target web exa\u{200b}mple 443\ninterval 500\nlog_dir ~/logs\ntarget web h ssh inet inet\n",
    );
    let line = "write target SERVICE HOST PORT, three words";
    assert_eq!(
        dir.run("check -c f --report 90").outcome(),
        format!(
            "exit 2\n\
             command line: report \"90\" is no duration, write a number and its unit, like 500ms, 2s, 5m or 1h\n\
             f:1: unknown directive \"intervall\", did you mean interval?\n\
             f:3: user \"no-such-user\" is not in /etc/passwd, write a name that is there\n\
             f:4: \"target \"my service\" h 443\": {line} without quotes\n\
             f:5: slow 5s is not below timeout 5s, a slow phase would have failed\n\
             f:6: \"target web h:443\": {line}\n\
             f:7: target \"web\": host \"exa\u{200b}mple\" has a character beyond ASCII, which may be invisible; write the \
             name's form that begins with xn--\n\
             f:8: interval \"500\" is no duration, write a number and its unit, like 500ms, 2s, 5m or 1h\n\
             f:9: log_dir \"~/logs\" begins with a quote, ~ or $, which only a shell knows; write the path itself\n\
             f:10: target \"web\": port \"ssh\" is no number from 1 to 65535\n\
             f:10: target \"web\": inet repeats or contradicts an option before it, keep one"
        )
    );
}

#[test]
fn the_mistakes_of_a_pipe_are_told_too() {
    let dir = RunDir::new();
    let (read, write) = nix::unistd::pipe().expect("it is made");
    nix::unistd::write(&write, b"targt web h 80\nuser no-such-user\n").expect("it has space");
    drop(write);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
    let checked = command.args(["check", "-c", "/dev/stdin"]).current_dir(dir.path()).stdin(read).output();
    let said = String::from_utf8(checked.expect("it starts").stderr).expect("it is text");
    assert_eq!(
        said,
        "/dev/stdin:1: unknown directive \"targt\", did you mean target?\n\
         /dev/stdin:2: user \"no-such-user\" is not in /etc/passwd, write a name that is there\n"
    );
}

#[test]
fn a_command_says_what_it_does_not_know_and_what_was_meant() {
    let dir = RunDir::new();
    for (line, said) in [
        ("statsu -j", "exit 1\ncommand line: tcpmon run does not know \"statsu\", did you mean tcpmon status?"),
        ("check -n 3 x=h:1", "exit 2\ncommand line: tcpmon check does not know \"-n\", see tcpmon check --help"),
        ("stop web=h:1", "exit 2\ncommand line: tcpmon stop does not know \"web=h:1\", see tcpmon stop --help"),
        (
            "once --timout 3s x=h:1",
            "exit 3\ncommand line: tcpmon once does not know \"--timout\", did you mean --timeout?",
        ),
    ] {
        assert_eq!(dir.run(line).outcome(), said, "{line}");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 0, "nothing is started");
}

#[test]
fn help_is_printed_by_every_command_also_by_start() {
    let dir = RunDir::new();
    for command in ["run", "start", "stop", "reload", "status", "once", "check", "sample", "version"] {
        let help = dir.run(&format!("{command} --help"));
        assert_eq!(help.outcome(), "exit 0");
        assert!(help.stdout.starts_with(&format!("usage: tcpmon {command} ")), "{}", help.stdout);
        assert_eq!(help.stdout, dir.run(&format!("help {command}")).stdout);
    }
    assert!(dir.run("--help").stdout.starts_with("usage: tcpmon [COMMAND] "));
}

#[test]
fn the_zone_of_a_link_local_address_may_be_a_number() {
    namespace::within(|| {
        if !namespace::ip("address add fe80::1/64 dev lo") {
            return namespace::skip("typing::the_zone_of_a_link_local_address", "lo gets no link-local address");
        }
        let address: Ipv6Addr = "fe80::1".parse().expect("an address");
        let Ok(listener) = TcpListener::bind(SocketAddrV6::new(address, 0, 0, 1)) else {
            return namespace::skip("typing::the_zone_of_a_link_local_address", "it cannot be listened on");
        };
        let port = listener.local_addr().expect("it is bound").port();
        let dir = RunDir::new();
        dir.write("f", &format!("target web fe80::1%1 {port}\n"));
        for line in
            [format!("once web=[fe80::1%1]:{port}"), format!("once web=[fe80::1%lo]:{port}"), "once -c f".into()]
        {
            let once = dir.run(&line);
            assert_eq!((once.outcome().as_str(), once.check().result.as_str()), ("exit 0", "connected to fe80::1"));
        }
    });
}

#[test]
fn slow_is_a_fifth_of_a_short_timeout() {
    let dir = RunDir::new();
    let run = dir.run("-q -n 1 --timeout 200ms --ledger l x=127.0.0.1:1");
    assert_eq!(run.outcome(), "exit 0");
    let header = fs::read_to_string(dir.logs().first().expect("a log")).expect("text");
    assert!(header.contains("| Conn<0.04s | Conn0.04-0.2s |"), "{header}");
}
