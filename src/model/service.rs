//! Whether a run is the main process of a service, as proc(5) shows it: then its service manager starts it again.

use crate::base::words;

/// The command, in parts, that stops the service whose main process this is; `None`: it is none that is known.
/// `environment` and `cgroups` are /proc/PID/environ and /proc/PID/cgroup.
///
/// The control group alone proves nothing: what cron starts is in that of cron.service. systemd sets `SYSTEMD_EXEC_PID`
/// since version 248 and `NOTIFY_SOCKET` for services of `Type=notify` (systemd.exec(5)). Children inherit both. procd
/// leaves no trace: the variable is in tcpmon.procd.
pub fn stop_command<'a>(environment: &[u8], cgroups: &'a [u8], pid: u32) -> Option<[&'a str; 3]> {
    if value(environment, b"TCPMON_SERVICE=").is_some() {
        return Some(["/etc/init.d/tcpmon stop", "", ""]);
    }
    let is_main = match value(environment, b"SYSTEMD_EXEC_PID=") {
        Some(main) => words::number(words::utf8(main)?, u32::MAX) == Some(pid),
        None => value(environment, b"NOTIFY_SOCKET=").is_some(),
    };
    // The last line is systemd's: `0::` or, with version 1 of cgroups(7), `1:name=systemd:`.
    let unit = words::rsplit_once(words::utf8(cgroups)?, b'/')?.1.strip_suffix(".service\n")?;
    is_main.then_some(["systemctl stop ", unit, ".service"])
}

/// The value of a variable, whose name ends with `=`.
#[inline(never)]
fn value<'a>(environment: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    environment.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "0::/system.slice/tcpmon.service\n";

    fn command(environment: &str, cgroups: &str) -> Option<String> {
        let command = stop_command(environment.replace(' ', "\0").as_bytes(), cgroups.as_bytes(), 4711);
        command.map(|command| command.concat())
    }

    #[test]
    fn the_main_process_of_a_unit_is_stopped_by_systemctl() {
        let stop = Some("systemctl stop tcpmon.service".to_string());
        assert_eq!(command("LANG=C SYSTEMD_EXEC_PID=4711 INVOCATION_ID=7 ", V2), stop);
        assert_eq!(command("NOTIFY_SOCKET=/run/systemd/notify LANG=C ", V2), stop, "before version 248");
        let v1 =
            "3:cpu,cpuacct:/\n2:memory:/system.slice/tcpmon.service\n1:name=systemd:/system.slice/tcpmon.service\n";
        assert_eq!(command("SYSTEMD_EXEC_PID=4711", v1), stop);
        let own = "0::/system.slice/system-watch.slice/watch@a\\x2db.service\n";
        assert_eq!(command("SYSTEMD_EXEC_PID=4711", own), Some("systemctl stop watch@a\\x2db.service".to_string()));
    }

    #[test]
    fn a_process_that_cron_or_another_service_has_started_is_no_main_process() {
        assert_eq!(command("LANG=C ", "0::/system.slice/cron.service\n"), None);
        for environment in
            ["SYSTEMD_EXEC_PID=471", "SYSTEMD_EXEC_PID=47110", "SYSTEMD_EXEC_PID=", "XNOTIFY_SOCKET=/run/n"]
        {
            assert_eq!(command(environment, V2), None, "{environment}");
        }
        let inherited = "NOTIFY_SOCKET=/run/systemd/notify SYSTEMD_EXEC_PID=1 ";
        assert_eq!(command(inherited, "0::/system.slice/ssh.service\n"), None);
    }

    #[test]
    fn a_process_without_a_unit_has_no_command() {
        for cgroups in ["", "0::/\n", "0::/user.slice/user-0.slice/session-1.scope\n", "0::/tcpmon.service/x\n"] {
            assert_eq!(command("NOTIFY_SOCKET=/run/systemd/notify ", cgroups), None, "{cgroups}");
        }
        assert_eq!(command("", V2), None, "an environment that cannot be read");
    }

    #[test]
    fn a_run_of_procd_is_known_by_the_variable_of_its_script() {
        let stop = Some("/etc/init.d/tcpmon stop".to_string());
        assert_eq!(command("PATH=/bin TCPMON_SERVICE=procd ", ""), stop);
        assert_eq!(command("XTCPMON_SERVICE=procd ", ""), None);
    }
}
