//! Tests of the configuration reader.

use super::*;
use crate::model::keep::Keep;
use crate::model::settings::{Close, Hysteresis};

/// Reads a file as often as it takes to tell its mistakes in their order. Returns the configuration and every mistake.
fn read(content: &str) -> (Config, Vec<String>) {
    let mut config = Config::new();
    let (mut late, mut before) = (Late::default(), None);
    loop {
        let mut mistakes = Vec::new();
        let mut tell = |what: fmt::Arguments<'_>| mistakes.push(what.to_string());
        let mut reader = Reader::new(&mut config, &mut tell).with_late(&mut late);
        reader.file("f", content.as_bytes());
        let _ = reader.user(|name| (name == "nobody").then_some(()));
        let count = reader.finish(true);
        assert_eq!(before.unwrap_or(count), count);
        if late.is_found || count == 0 {
            assert_eq!(count, mistakes.len());
            return (config, mistakes);
        }
        (late.is_found, before) = (true, Some(count));
    }
}

fn mistakes(content: &str) -> Vec<String> {
    read(content).1
}

#[test]
fn the_sample_lacks_only_a_target_and_shows_the_defaults_except_a_few() {
    let (config, mistakes) = read(SAMPLE);
    assert_eq!(mistakes, ["f: no target, add a line such as: target web www.example.com 443"]);
    let log_dir = Text::format(format_args!("/var/log/tcpmon"));
    let keep = Keep::parse("14d 8M").expect("it is valid");
    let user = Text::format(format_args!("nobody"));
    assert_eq!(config.settings, Settings { log_dir, keep, user, times: true, events: true, ..Settings::default() });
}

#[test]
fn the_sample_has_every_directive_and_those_in_comments_have_their_default() {
    let of_line = |line: &str| Directive::of_name(line.split(' ').next().unwrap_or_default());
    let in_force = SAMPLE.lines().filter_map(of_line);
    let commented: Vec<&str> = SAMPLE.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    let commented: Vec<&str> = commented.into_iter().filter(|line| of_line(line).is_some()).collect();
    let (config, mistakes) = read(&commented.join("\n"));
    assert_eq!((config.settings, mistakes.len()), (Settings::default(), 1), "{mistakes:?}");
    let mut shown: Vec<Directive> = in_force.chain(commented.iter().filter_map(|line| of_line(line))).collect();
    shown.sort_by_key(|directive| *directive as usize);
    assert_eq!(shown, Directive::ALL);
}

#[test]
fn the_default_targets_are_the_examples_in_the_samples_comments() {
    let mut config = Config::new();
    let mut tell = |what: fmt::Arguments<'_>| panic!("{what}");
    let mut reader = Reader::new(&mut config, &mut tell);
    reader.option(Directive::Interval, "1s");
    reader.default_targets();
    assert_eq!(reader.finish(true), 0);
    assert_eq!(config.settings, Settings { interval: Nanos::from_secs(1), ..Settings::default() });
    let examples: Vec<&str> = SAMPLE.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    let is_example = |line: &&&str| line.starts_with("target ") && !line.contains("SERVICE");
    let examples = examples.iter().filter(is_example).map(|line| [*line, "\n"].concat()).collect::<Vec<_>>().concat();
    let (sample, mistakes) = read(&examples);
    assert_eq!((sample.targets.len(), mistakes), (3, Vec::<String>::new()));
    assert_eq!(config.targets, sample.targets);
}

#[test]
fn every_directive_and_every_option_is_read() {
    let (config, mistakes) = read(
        "interval 500ms # comment\n\ttimeout 3s\nslow 250ms\r\nreport 60s\nlog_dir /var/log/my logs\nkeep 14d 8M # both\nledger l\nspread on\n\
         close rst\nhelpers 7\nuser nobody\nsandbox off\ntarget a#b one.example 443\n#target x\n\
         times on\nevents on\nsamples on\nsyslog on\ndown_after 5\nup_after 1000\n\
         target v6 2001:db8::5 1 inet6 source 2001:db8::1 device eth0 interval 1h up_after 1 down_after 1000\n",
    );
    assert_eq!(mistakes, Vec::<String>::new());
    let Settings { interval, thresholds, report, log_dir, keep, spread, close, helpers, .. } = config.settings;
    assert_eq!(
        (interval, thresholds.timeout, thresholds.slow),
        (Nanos::from_millis(500), Nanos::from_secs(3), Nanos::from_millis(250))
    );
    assert_eq!((report, log_dir.as_str(), spread), (Nanos::from_secs(60), "/var/log/my logs", true));
    assert_eq!((close, helpers, keep.to_string().as_str()), (Close::Rst, 7, "14d 8M"));
    let Settings { times, events, samples, syslog, hysteresis, .. } = config.settings;
    assert_eq!((times, events, samples, syslog), (true, true, true, true));
    assert_eq!(hysteresis, Hysteresis { down_after: 5, up_after: 1000 });
    assert_eq!((config.settings.user.as_str(), config.settings.sandbox), ("nobody", false));
    assert_eq!(config.settings.ledger_path().as_str(), "/var/log/my logs/l");
    assert_eq!(read("ledger ./l\nlog_dir /tmp\ntarget a h 1").0.settings.ledger_path().as_str(), "./l");
    let [first, second] = config.targets[..] else { panic!("two targets") };
    assert_eq!((first.service.as_str(), first.endpoint().to_string().as_str()), ("a#b", "one.example:443"));
    assert_eq!((second.family, second.device.as_str()), (Family::Inet6, "eth0"));
    assert_eq!((second.source, second.interval), ("2001:db8::1".parse().ok(), Some(Nanos::from_secs(3600))));
    assert_eq!((second.down_after, second.up_after), (Some(1000), Some(1)));
    assert_eq!((first.interval, first.down_after, first.up_after), (None, None, None));
    assert_eq!(config.settings.hysteresis_of(&first), hysteresis);
    assert_eq!(config.settings.hysteresis_of(&second), Hysteresis { down_after: 1000, up_after: 1 });
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_is_right() {
    let told = mistakes(
        "interval 2x\nintervall 2s\ntimeout 5s\ntimeout 6s\nslow 0ms\nreport 1500ms\nspread maybe\nhelpers 513\nlog_dir\n\
         target a\ntarget b host 0\ntarget c host 99999\ntarget d 10.0.0.256 1\ntarget e host 1 inet inet6 colour red\n\
         target f 10.0.0.1 1 inet6\ntarget g host 1 source 10.0.0.1\ntarget h ::1 1 source 10.0.0.1\n\
         target i host 1 device\ntarget j host 1 interval 2h source x\ntarget a|b h|i 0 bogus\n\
         target k fe80::1%eth0 1 source fe80::2\ntarget l host 1 device eth\u{7}0\nkeep 14\nuser a b\nsandbox 1\n\
         target m [2001:db8::5] 1 inet\nkeep 0\nkeep 3651\nkeep 2w\nkeep 14d 8m\nkeep 8MB\n\
         target n host 1 down_after 0 up_after\ntarget o host 1 up_after 1001 down_after x\nevents yes\ndown_after 1001\n",
    );
    assert_eq!(
        told,
        [
            "f:1: interval \"2x\" is no duration, write a number and its unit, like 500ms, 2s, 5m or 1h",
            "f:2: unknown directive \"intervall\", did you mean interval?",
            "f:4: timeout is set a second time, keep one: it was set by f:3",
            "f:5: slow \"0ms\" is out of range, use 1ms to 10m",
            "f:6: report \"1500ms\" has a fraction of a second, use whole seconds",
            "f:7: spread \"maybe\" is neither \"on\" nor \"off\", write one of them",
            "f:8: helpers \"513\" is out of range, use 1 to 512",
            "f:9: log_dir \"\" is no directory, write a path of 1 to 320 bytes",
            "f:10: \"target a\": write target SERVICE HOST PORT, three words",
            "f:11: target \"b\": port \"0\" is no number from 1 to 65535",
            "f:12: target \"c\": port \"99999\" is no number from 1 to 65535",
            "f:13: target \"d\": host \"10.0.0.256\" is no IP address, write one like 10.0.0.5 or 2001:db8::5",
            "f:14: target \"e\": inet6 repeats or contradicts an option before it, keep one",
            "f:14: target \"e\": unknown option \"colour\", tcpmon sample shows all",
            "f:15: target \"f\": 10.0.0.1 is an IPv4 address, but the target says inet6",
            "f:16: target \"g\": with a source a name needs a family, add inet or inet6",
            "f:17: target \"h\": source and host are of different families, use two of the same",
            "f:18: target \"i\": device \"\" is no network device, write a name of 1 to 15 bytes like eth0",
            "f:19: target \"j\": interval \"2h\" is out of range, use 10ms to 1h",
            "f:19: target \"j\": source \"x\" is no IP address, write one of this box's own",
            "f:20: target \"a|b\": service \"a|b\" is not 1 to 64 bytes without `|` and control characters",
            "f:20: target \"a|b\": host \"h|i\" is no IP address and no name: dots between 1 to 63 letters, digits, `_` and, within, `-`, 253 in all",
            "f:20: target \"a|b\": port \"0\" is no number from 1 to 65535",
            "f:20: target \"a|b\": unknown option \"bogus\", tcpmon sample shows all",
            "f:21: target \"k\": a link-local source needs a device, use device NAME instead",
            "f:22: target \"l\": device \"eth\u{7}0\" is no network device, write a name of 1 to 15 bytes like eth0",
            "f:23: keep \"14\" has no unit, write 14d",
            "f:24: user \"a b\" is no user, write a name of 1 to 32 bytes, or - to change no user",
            "f:25: sandbox \"1\" is neither \"on\" nor \"off\", write one of them",
            "f:26: target \"m\": 2001:db8::5 is an IPv6 address, but the target says inet",
            "f:27: keep \"0\" is no number of days or bytes, write one like 14d, 8M or 14d 8M (1d to 3650d, 64k to 1024G), or all",
            "f:28: keep \"3651\" is no number of days or bytes, write one like 14d, 8M or 14d 8M (1d to 3650d, 64k to 1024G), or all",
            "f:29: keep \"2w\" is no number of days or bytes, write one like 14d, 8M or 14d 8M (1d to 3650d, 64k to 1024G), or all",
            "f:30: keep \"14d 8m\" is no number of days or bytes, write one like 14d, 8M or 14d 8M (1d to 3650d, 64k to 1024G), or all",
            "f:31: keep \"8MB\" is no number of days or bytes, write one like 14d, 8M or 14d 8M (1d to 3650d, 64k to 1024G), or all",
            "f:32: target \"n\": down_after \"0\" is out of range, use 1 to 1000",
            "f:32: target \"n\": up_after \"\" is out of range, use 1 to 1000",
            "f:33: target \"o\": up_after \"1001\" is out of range, use 1 to 1000",
            "f:33: target \"o\": down_after \"x\" is out of range, use 1 to 1000",
            "f:34: events \"yes\" is neither \"on\" nor \"off\", write one of them",
            "f:35: down_after \"1001\" is out of range, use 1 to 1000",
        ]
    );
}

#[test]
fn a_line_that_is_nearly_a_target_is_one_mistake() {
    let one_word = |line: &str| {
        let quotes = if line.contains(['"', '\'']) { " without quotes" } else { "" };
        format!("\"{line}\": write target SERVICE HOST PORT, three words{quotes}")
    };
    for (line, mistake) in [
        ("target \"my service\" h 443", one_word("target \"my service\" h 443")),
        ("target 'my' h 443", one_word("target 'my' h 443")),
        ("target web \"192.0.2.7\" 443", one_word("target web \"192.0.2.7\" 443")),
        (" target my service h 443 inet # x", one_word("target my service h 443 inet")),
        ("target a exa mple 443", one_word("target a exa mple 443")),
        ("target a 2001:db8::1", one_word("target a 2001:db8::1")),
        ("target", one_word("target")),
        ("target a h:443", one_word("target a h:443")),
        ("target a 192.0.2.7:443 443", one_word("target a 192.0.2.7:443 443")),
        ("target a [::1]:443 inet6", one_word("target a [::1]:443 inet6")),
        ("target a h ssh", "target \"a\": port \"ssh\" is no number from 1 to 65535".into()),
        ("target a h 70000", "target \"a\": port \"70000\" is no number from 1 to 65535".into()),
        ("target a fe80::1 1", "target \"a\": host \"fe80::1\" is wrong: a link-local address names its device, like fe80::1%eth0, and no other host does".into()),
        ("target a mün.de 1", "target \"a\": host \"mün.de\" has a character beyond ASCII, which may be invisible; write the name's form that begins with xn--".into()),
        ("target a h 1 interval 1s inet interval 1s", "target \"a\": interval repeats or contradicts an option before it, keep one".into()),
        ("target a h 1 inet6 inet6", "target \"a\": inet6 repeats or contradicts an option before it, keep one".into()),
        ("target a h 1 intervel 1s", "target \"a\": unknown option \"intervel\", did you mean interval?".into()),
        ("target a h 1 interval 5", "target \"a\": interval \"5\" is no duration, write a number and its unit, like 500ms, 2s, 5m or 1h".into()),
        ("targt a h 1", "unknown directive \"targt\", did you mean target?".into()),
        ("log-dir x", "unknown directive \"log-dir\", did you mean log_dir?".into()),
    ] {
        assert_eq!(mistakes(&format!("{line}\ntarget b h 1")), [format!("f:1: {mistake}")], "{line}");
    }
    let same = "target a h 1\n";
    assert_eq!(read(&same.repeat(2)).0.targets.len(), 2, "the same target twice is right");
}

#[test]
fn a_path_for_a_shell_is_refused() {
    let why = "begins with a quote, ~ or $, which only a shell knows; write the path itself";
    for path in ["\"logs\"", "'logs'", "~/logs", "$HOME/logs"] {
        for name in ["log_dir", "ledger"] {
            assert_eq!(mistakes(&format!("{name} {path}\ntarget a h 1")), [format!("f:1: {name} \"{path}\" {why}")]);
        }
    }
    assert_eq!(mistakes("log_dir ./~\nledger a$b\ntarget a h 1"), Vec::<String>::new());
}

#[test]
fn slow_is_a_fifth_of_a_short_timeout_unless_it_is_set() {
    let slow = |settings: &str| read(&format!("{settings}\ntarget a h 1")).0.settings.thresholds.slow;
    for (settings, expected) in [
        ("timeout 200ms", "40ms"),
        ("timeout 10ms", "2ms"),
        ("timeout 999ms", "199ms"),
        ("timeout 1s", "200ms"),
        ("timeout 1001ms", "1s"),
        ("timeout 5s", "1s"),
        ("timeout 1s\nslow 900ms", "900ms"),
    ] {
        assert_eq!(slow(settings).to_string(), expected, "{settings}");
    }
    assert_eq!(
        mistakes("timeout 1s\nslow 1s\ntarget a h 1"),
        ["f:2: slow 1s is not below timeout 1s, a slow phase would have failed"]
    );
}

#[test]
fn what_is_found_in_the_end_is_told_in_its_line() {
    assert_eq!(
        mistakes("a\ntimeout 10s\nuser x\nb\nslow 10s\nc\n"),
        [
            "f:1: unknown directive \"a\", tcpmon sample shows all",
            "f:3: user \"x\" is not in /etc/passwd, write a name that is there",
            "f:4: unknown directive \"b\", tcpmon sample shows all",
            "f:5: slow 10s is not below timeout 10s, a slow phase would have failed",
            "f:6: unknown directive \"c\", tcpmon sample shows all",
        ]
    );
}

#[test]
fn what_only_the_whole_configuration_shows_is_told() {
    assert_eq!(
        mistakes("slow 5s\ntarget a h 1\n"),
        ["f:1: slow 5s is not below timeout 5s, a slow phase would have failed"]
    );
    assert_eq!(
        mistakes("timeout 10x\nslow 6s\ntarget a h 1\n").len(),
        1,
        "the value in force for an invalid one is no second mistake"
    );
    assert_eq!(mistakes("interval 2s\n"), ["f: no target, add a line such as: target web www.example.com 443"]);
    assert_eq!(mistakes(""), ["f: no target, add a line such as: target web www.example.com 443"]);
}

#[test]
fn a_line_that_is_not_utf8_is_told_and_the_others_are_read() {
    let mut config = Config::new();
    let mut told = Vec::new();
    let mut tell = |what: fmt::Arguments<'_>| told.push(what.to_string());
    let mut reader = Reader::new(&mut config, &mut tell);
    reader.file("f", b"\xef\xbb\xbfinterval 3s\n\xff\xfe\ntarget a h 1");
    reader.finish(true);
    assert_eq!(told, ["f:2: this line is not UTF-8, save the file as UTF-8"]);
    assert_eq!((config.settings.interval, config.targets.len()), (Nanos::from_secs(3), 1));
}

#[test]
fn the_last_target_that_fits_is_accepted_and_one_more_is_told() {
    let line = |i: usize| format!("target s{i} 10.0.0.1 {}\n", i + 1);
    let file = |count: usize| (0..count).map(line).collect::<Vec<_>>().concat();
    assert_eq!(read(&file(limits::TARGETS)).0.targets.len(), limits::TARGETS);
    assert_eq!(mistakes(&file(limits::TARGETS + 1)), ["f:1025: target \"s1024\" is one too many, at most 1024 fit"]);
}

#[test]
fn more_probes_in_flight_than_fit_are_refused_with_the_setting_to_change() {
    let file = |interval: u64| format!("interval {interval}ms\ntimeout 4096ms\n{}", "target a h 1\n".repeat(10));
    assert_eq!(
        mistakes(&file(10)),
        [
            "f:1: 10 targets at interval 10ms and timeout 4096ms need 8200 probes in flight, 8192 fit: use a longer interval, a shorter timeout or fewer targets"
        ]
    );
    let nine = format!("interval 10ms\ntimeout 4096ms\n{}", "target a h 1\n".repeat(9));
    assert_eq!(mistakes(&nine), Vec::<String>::new());
    assert_eq!(
        mistakes("timeout 41s\ntarget a h 1 interval 10ms\n"),
        [
            "f:1: 1 target at interval 2s and timeout 41s needs 8200 probes in flight, 8192 fit: use a longer interval, a shorter timeout or fewer targets"
        ]
    );
    let own = format!("interval 1s\ntimeout 4096ms\n{}", "target a h 1 interval 10ms\n".repeat(10));
    assert_eq!(mistakes(&own).len(), 1, "a target's own interval counts");
}

#[test]
fn the_command_line_wins_over_the_file_and_its_targets_come_first() {
    let mut config = Config::new();
    let mut told = Vec::new();
    let mut tell = |what: fmt::Arguments<'_>| told.push(what.to_string());
    let mut reader = Reader::new(&mut config, &mut tell);
    reader.option(Directive::Interval, "1s");
    for argument in [
        "web=127.0.0.1:8080",
        "db=[::1]:5432 inet6",
        "www.example.com:443",
        "x=::1:5",
        "y=host",
        "z=:80",
        "=h:1",
        "v=[2001:db8::1]",
        "w=2001:db8::1",
        "u=2001:db8:0:0:0:0:0:1:443",
        "s=http://h:ssh",
    ] {
        reader.argument(argument);
    }
    reader.file("f", b"interval 3s\ntarget last h 1\n");
    assert_eq!(reader.finish(true), 9);
    assert_eq!(config.settings.interval, Nanos::from_secs(1));
    let services: Vec<_> = config.targets.iter().map(|target| target.service.to_string()).collect();
    assert_eq!(services, ["web", "db", "www.example.com", "last"]);
    assert_eq!(
        told,
        [
            "command line: target \"x=::1:5\" has no port, write SERVICE=HOST:PORT, with an IPv6 address in brackets",
            "command line: target \"y=host\" has no port, write SERVICE=HOST:PORT, with an IPv6 address in brackets",
            "command line: target \"z\": host \"\" is no IP address and no name: dots between 1 to 63 letters, digits, `_` and, within, `-`, 253 in all",
            "command line: target \"\": service \"\" is not 1 to 64 bytes without `|` and control characters",
            "command line: target \"v=[2001:db8::1]\" has no port, write SERVICE=HOST:PORT, with an IPv6 address in brackets",
            "command line: target \"w=2001:db8::1\" has no port, write SERVICE=HOST:PORT, with an IPv6 address in brackets",
            "command line: target \"u=2001:db8:0:0:0:0:0:1:443\" has no port, write SERVICE=HOST:PORT, with an IPv6 address in brackets",
            "command line: target \"s\": host \"http://h\" is no IP address and no name: dots between 1 to 63 letters, digits, `_` and, within, `-`, 253 in all",
            "command line: target \"s\": port \"ssh\" is no number from 1 to 65535",
        ]
    );
}

#[test]
fn an_unknown_user_is_told_with_the_location_of_the_setting() {
    let told = |option: Option<&str>, content: &str| {
        let (mut config, mut told) = (Config::new(), Vec::new());
        let mut tell = |what: fmt::Arguments<'_>| told.push(what.to_string());
        let mut reader = Reader::new(&mut config, &mut tell);
        if let Some(user) = option {
            reader.option(Directive::User, user);
        }
        reader.file("f", content.as_bytes());
        let found = reader.user(|name| (name == "known").then_some(7));
        (found, told)
    };
    let unknown = |location: &str| {
        (None, vec![format!("{location}: user \"x\" is not in /etc/passwd, write a name that is there")])
    };
    assert_eq!(told(None, "\nuser x\n"), unknown("f:2"));
    assert_eq!(told(Some("x"), "user known\n"), unknown("command line"));
    assert_eq!(told(Some("known"), "user x\n"), (Some(7), vec![]));
    assert_eq!(told(None, "user -\n"), (None, vec![]));
}
