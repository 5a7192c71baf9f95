//! Peers behind a TUN device, each of which answers every SYN after a fixed delay.
//!
//! Loopback answers within connect(2). Through a TUN device the answers come when the whole batch
//! has been sent and the loop sleeps, as in a real network. A queueing discipline on loopback cannot
//! do this: it delays a packet before a capture sees it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;

use crate::{Result, cannot_run};

/// The peer's addresses, each with its delay, and ours (RFC 2544 reserves these addresses for measurements).
pub const PEERS: [(&str, Duration); 2] =
    [("198.18.0.20", Duration::from_millis(20)), ("198.18.0.200", Duration::from_millis(200))];
const OURS: &str = "198.18.0.1/24";
const DEVICE: &str = "far0";

/// Bytes of an IP and of a TCP header without options.
const HEADER: usize = 20;
const TCP: u8 = 6;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Starts the peer in this network namespace; it accepts on every port. Its threads end with the
/// process.
pub fn start() -> Result {
    let device = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    let device = device.map_err(|error| format!("/dev/net/tun: {error}"))?;
    attach(&device).map_err(|errno| format!("no TUN device: {}", errno.desc()))?;
    ip(&format!("address add {OURS} dev {DEVICE}"))?;
    ip(&format!("link set {DEVICE} up"))?;
    let answers = device.try_clone().map_err(|error| format!("the TUN device: {error}"))?;
    let (sender, receiver) = channel();
    thread::spawn(move || read_for_ever(device, &sender));
    thread::spawn(move || answer_for_ever(answers, &receiver));
    Ok(())
}

/// Runs `ip` with these arguments.
pub fn ip(arguments: &str) -> Result {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    let status = status.map_err(|error| cannot_run("ip", "iproute2", &error))?;
    if status.success() { Ok(()) } else { Err(format!("ip {arguments}: {status}")) }
}

/// Attaches the descriptor to a new TUN device (linux/if_tun.h).
fn attach(device: &File) -> std::result::Result<(), Errno> {
    // SAFETY: `ifreq` is plain data for which zeroes are a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(DEVICE.bytes()) {
        *slot = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes an ifreq, which is live, and keeps no pointer to it.
    Errno::result(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    Ok(())
}

fn read_for_ever(mut device: File, answers: &Sender<(Instant, Vec<u8>)>) {
    let mut packet = [0; 2048];
    while let Ok(length) = device.read(&mut packet) {
        if let Some((answer, wait)) = answer(&packet[..length]) {
            // The last byte of the address is the delay in milliseconds.
            let delay = Duration::from_millis(packet[19].into());
            let due = Instant::now() + if wait { delay } else { Duration::ZERO };
            if answers.send((due, answer)).is_err() {
                return;
            }
        }
    }
}

fn answer_for_ever(mut device: File, answers: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, answer)) = answers.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // A packet that the device rejects is lost.
        let _ = device.write(&answer);
    }
}

/// The peer's answer to a packet, and whether to delay it: SYN-ACK to a SYN, and a reset to a FIN, so
/// that the peer has no state.
fn answer(packet: &[u8]) -> Option<(Vec<u8>, bool)> {
    if packet.len() < 2 * HEADER || packet[0] != 0x45 || packet[9] != TCP {
        return None;
    }
    let (ip, tcp) = packet.split_at(HEADER);
    let sequence = u32::from_be_bytes(tcp[4..8].try_into().ok()?);
    let acknowledged = u32::from_be_bytes(tcp[8..12].try_into().ok()?);
    let (flags, number) = match tcp[13] & (FIN | SYN | RST) {
        SYN => (SYN | ACK, 1),
        FIN => (RST | ACK, acknowledged),
        _ => return None,
    };
    let mut answer = vec![0; 2 * HEADER];
    answer[0] = 0x45;
    answer[3] = 2 * HEADER as u8;
    answer[8] = 64;
    answer[9] = TCP;
    answer[12..16].copy_from_slice(&ip[16..20]);
    answer[16..20].copy_from_slice(&ip[12..16]);
    let sum = checksum(&answer[..HEADER], 0);
    answer[10..12].copy_from_slice(&sum.to_be_bytes());

    answer[20..22].copy_from_slice(&tcp[2..4]);
    answer[22..24].copy_from_slice(&tcp[..2]);
    answer[24..28].copy_from_slice(&number.to_be_bytes());
    answer[28..32].copy_from_slice(&sequence.wrapping_add(1).to_be_bytes());
    answer[32] = (HEADER as u8 / 4) << 4;
    answer[33] = flags;
    answer[34..36].copy_from_slice(&u16::MAX.to_be_bytes());
    // RFC 9293, section 3.1: the checksum covers both addresses, the protocol and the length.
    let sum = checksum(&answer[12..], u32::from(TCP) + HEADER as u32);
    answer[36..38].copy_from_slice(&sum.to_be_bytes());
    Some((answer, flags & SYN != 0))
}

/// The Internet checksum (RFC 1071) of an even number of bytes and of `beside`.
fn checksum(bytes: &[u8], beside: u32) -> u16 {
    let words = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum = beside + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
