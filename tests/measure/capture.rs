//! Captures when the kernel sent a SYN and when it received the answer, for each port: a packet
//! socket with the kernel's time stamps (packet(7)), which do not depend on when they are read.

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeSpec;

use crate::Result;

/// The pause between two readings: the socket's buffer holds the packets, so that reading does not
/// compete with every connect.
const PAUSE: Duration = Duration::from_micros(500);

/// Bytes of that buffer. The kernel allows twice net.core.rmem_max; the default is enough for about
/// 500 packets: a tick of 256 targets.
const BUFFER: usize = 2 << 20;

/// Offsets in a packet without options: IP header, then TCP.
const PORTS: usize = 20;
const FLAGS: usize = 33;
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;

/// Nanoseconds of the wall clock at which the packets of one connect were seen.
#[derive(Clone, Copy, Default)]
struct Seen {
    syn: Option<i64>,
    syn_ack: Option<i64>,
}

type Connects = HashMap<u16, Seen>;

/// A capture of every interface of this network namespace.
pub struct Capture {
    socket: Arc<OwnedFd>,
    connects: Arc<Mutex<Connects>>,
}

impl Capture {
    /// Starts the capture; its thread ends with the process.
    pub fn start() -> Result<Self> {
        let socket = open().map_err(|errno| format!("no packet socket: {}", errno.desc()))?;
        let socket = Arc::new(socket);
        let connects = Arc::new(Mutex::new(Connects::new()));
        thread::spawn({
            let (socket, connects) = (Arc::clone(&socket), Arc::clone(&connects));
            move || {
                loop {
                    read_all(&socket, &mut connects.lock().unwrap_or_else(PoisonError::into_inner));
                    thread::sleep(PAUSE);
                }
            }
        });
        Ok(Self { socket, connects })
    }

    /// Nanoseconds from the first SYN to the first answer, for each port connected to since the last
    /// call. `None`: packets were lost, so a time may be between the wrong ones.
    pub fn drain(&self) -> Result<Option<HashMap<u16, i64>>> {
        let mut connects = self.connects.lock().unwrap_or_else(PoisonError::into_inner);
        read_all(&self.socket, &mut connects);
        let lost = lost(&self.socket).map_err(|errno| format!("the capture's figures: {}", errno.desc()))?;
        let answered = connects.drain().filter_map(|(port, seen)| Some((port, seen.syn_ack? - seen.syn?)));
        let answered = answered.collect();
        Ok((lost == 0).then_some(answered))
    }
}

fn open() -> std::result::Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
    attach_filter(&socket)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
    Ok(socket)
}

/// Accepts only outgoing SYNs and incoming SYN-ACKs: loopback shows each of them in both directions.
fn attach_filter(socket: &OwnedFd) -> std::result::Result<(), Errno> {
    const BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let packet_type = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
    // Each jump has the number of instructions to skip if equal, and if not.
    let program = [
        (BYTE, 0, 0, 0),
        (EQUAL, 0, 11, 0x45),
        (BYTE, 0, 0, 9),
        (EQUAL, 0, 9, libc::IPPROTO_TCP as u32),
        (BYTE, 0, 0, packet_type),
        (EQUAL, 0, 3, u32::from(libc::PACKET_OUTGOING)),
        (BYTE, 0, 0, FLAGS as u32),
        (AND, 0, 0, u32::from(SYN_ACK)),
        (EQUAL, 3, 4, u32::from(SYN)),
        (BYTE, 0, 0, FLAGS as u32),
        (AND, 0, 0, u32::from(SYN_ACK)),
        (EQUAL, 0, 1, u32::from(SYN_ACK)),
        (RETURN, 0, 0, 64),
        (RETURN, 0, 0, 0),
    ];
    let mut program = program.map(|(code, jt, jf, k)| libc::sock_filter { code: code as u16, jt, jf, k });
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: `program` and `filter` are live, and the kernel copies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of_val(&filter) as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

fn read_all(socket: &OwnedFd, connects: &mut Connects) {
    let mut packet = [0; 64];
    let mut control = nix::cmsg_space!(TimeSpec);
    loop {
        let mut buffer = [IoSliceMut::new(&mut packet)];
        let Ok(message) = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut buffer, Some(&mut control), MsgFlags::empty())
        else {
            return;
        };
        let stamp = message.cmsgs().into_iter().flatten().find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec()),
            _ => None,
        });
        let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        // A retransmission does not replace the first SYN or answer.
        if packet[FLAGS] & SYN_ACK == SYN {
            let seen = connects.entry(port(PORTS + 2)).or_default();
            seen.syn = seen.syn.or(stamp);
        } else {
            let seen = connects.entry(port(PORTS)).or_default();
            seen.syn_ack = seen.syn_ack.or(stamp);
        }
    }
}

/// How many packets were dropped, because the buffer was full, since the last call.
fn lost(socket: &OwnedFd) -> std::result::Result<u32, Errno> {
    // `tpacket_stats` of linux/if_packet.h: packets, then drops.
    let mut figures = [0_u32; 2];
    let mut length = size_of_val(&figures) as libc::socklen_t;
    // SAFETY: `figures` is live and `length` is its size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            figures.as_mut_ptr().cast(),
            &mut length,
        )
    };
    Errno::result(result)?;
    Ok(figures[1])
}
