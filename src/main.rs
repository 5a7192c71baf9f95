//! The `tcpmon` program: the library's `commands`, and nothing else.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).map(|argument| {
        // What is not UTF-8 is no option, service or host: it is refused under its visible form.
        &*String::leak(argument.to_string_lossy().into_owned())
    });
    tcpmon::commands::main(arguments)
}
