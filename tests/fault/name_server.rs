//! A DNS server on port 53 of the namespace: it answers any name with 127.0.0.1, except [`SILENT`],
//! which it does not answer.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;

use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, ResourceRecord, TYPE};

use crate::Result;

/// A name with an address.
pub const NAME: &str = "name.test";
/// The name without an answer.
pub const SILENT: &str = "silent.test";

/// Starts the server; its thread ends with the process.
pub fn start() -> Result {
    let socket = UdpSocket::bind("127.0.0.1:53").map_err(|error| format!("port 53 of the namespace: {error}"))?;
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(reply) = reply(&query[..length]) {
                // The helper that asked may have ended: the reply is lost then.
                let _ = socket.send_to(&reply, from);
            }
        }
    });
    Ok(())
}

fn reply(query: &[u8]) -> Option<Vec<u8>> {
    let query = Packet::parse(query).ok()?;
    let question = query.questions.first()?;
    if question.qname.to_string() == SILENT {
        return None;
    }
    let mut reply = query.clone().into_reply();
    reply.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE);
    if question.qtype == QTYPE::TYPE(TYPE::A) {
        let data = RData::A(A { address: Ipv4Addr::LOCALHOST.into() });
        reply.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 0, data));
    }
    reply.build_bytes_vec_compressed().ok()
}
