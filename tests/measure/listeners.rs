//! Listeners on loopback that complete every connect with as little work as possible.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use crate::Result;

/// How often queued connections are accepted and closed. The kernel answers without this thread, so
/// that it need not compete with the connects of a tick; the backlog of 128 is not full by then.
const PAUSE: Duration = Duration::from_millis(100);

/// Opens `count` listeners and returns their ports. Their thread ends with the process.
pub fn open(count: usize) -> Result<Vec<u16>> {
    let listeners = (0..count).map(|_| listener()).collect::<std::io::Result<Vec<_>>>();
    let listeners = listeners.map_err(|error| format!("no {count} listeners on loopback: {error}"))?;
    let ports = listeners.iter().map(|listener| listener.local_addr().map(|address| address.port()));
    let ports = ports.collect::<std::io::Result<_>>().map_err(|error| format!("a listener has no port: {error}"))?;
    thread::spawn(move || accept_for_ever(&listeners));
    Ok(ports)
}

fn listener() -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn accept_for_ever(listeners: &[TcpListener]) {
    loop {
        for listener in listeners {
            while let Ok((stream, _)) = listener.accept() {
                drop(stream);
            }
        }
        thread::sleep(PAUSE);
    }
}
