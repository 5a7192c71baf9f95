//! A DNS server on 127.0.0.1:53 of a namespace, which answers each name as the test says.
//!
//! It has no zone files, no recursion and no TCP. Each question gets its scripted answer, which may
//! come late or never. The server counts the questions.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

use crate::clock;

/// The answer for a name.
#[derive(Clone)]
pub enum Answer {
    /// Those of these addresses that are of the family asked for, in this order; without one, NODATA.
    Addresses(Vec<IpAddr>),
    /// This response code, without addresses.
    Code(RCODE),
    /// No answer at all.
    Silence,
    /// These for IPv4, and no answer to a question about IPv6.
    InetAlone(Vec<IpAddr>),
}

#[derive(Clone)]
struct Script {
    answer: Answer,
    delay: Duration,
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, Script>,
    asked: HashMap<(String, u16), usize>,
}

/// The server. Its thread ends with the process: in a namespace each test has its own process.
pub struct Server(Arc<Mutex<State>>);

impl Server {
    /// Starts a server that knows no name yet and answers NXDOMAIN.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:53").expect("port 53 of this namespace is free");
        let state = Arc::new(Mutex::new(State::default()));
        let server = Self(Arc::clone(&state));
        thread::spawn(move || {
            let socket = Arc::new(socket);
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                answer(&socket, &state, &query[..length], from);
            }
        });
        server
    }

    /// From now on `name` has these addresses.
    pub fn addresses(&self, name: &str, addresses: &[&str]) {
        self.late(name, Duration::ZERO, addresses);
    }

    /// From now on `name` has these addresses, and each answer comes `delay` after its question.
    pub fn late(&self, name: &str, delay: Duration, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().expect("an IP address")).collect();
        self.script(name, Script { answer: Answer::Addresses(addresses), delay });
    }

    /// From now on `name` is answered at once with this.
    pub fn answer(&self, name: &str, answer: Answer) {
        self.script(name, Script { answer, delay: Duration::ZERO });
    }

    fn script(&self, name: &str, script: Script) {
        self.0.lock().unwrap().scripts.insert(name.to_owned(), script);
    }

    /// How often the IPv4 addresses of `name` were asked for.
    pub fn asked_inet(&self, name: &str) -> usize {
        self.asked(name, TYPE::A)
    }

    /// How often the IPv6 addresses of `name` were asked for.
    pub fn asked_inet6(&self, name: &str) -> usize {
        self.asked(name, TYPE::AAAA)
    }

    fn asked(&self, name: &str, kind: TYPE) -> usize {
        let key = (name.to_owned(), u16::from(kind));
        self.0.lock().unwrap().asked.get(&key).copied().unwrap_or(0)
    }
}

fn answer(socket: &Arc<UdpSocket>, state: &Mutex<State>, query: &[u8], from: SocketAddr) {
    let Ok(query) = Packet::parse(query) else { return };
    let Some(question) = query.questions.first() else { return };
    let name = question.qname.to_string();
    let kind = question.qtype;
    let script = {
        let mut state = state.lock().unwrap();
        *state.asked.entry((name.clone(), u16::from(kind))).or_default() += 1;
        state.scripts.get(&name).cloned()
    };
    let script = script.unwrap_or(Script { answer: Answer::Code(RCODE::NameError), delay: Duration::ZERO });
    let Some(reply) = reply(&query, kind, &script.answer) else { return };
    if script.delay.is_zero() {
        // The client may have ended: then the answer is lost.
        let _ = socket.send_to(&reply, from);
    } else {
        let socket = Arc::clone(socket);
        thread::spawn(move || {
            clock::let_pass(script.delay);
            let _ = socket.send_to(&reply, from);
        });
    }
}

fn reply(query: &Packet, kind: QTYPE, answer: &Answer) -> Option<Vec<u8>> {
    let mut reply = query.clone().into_reply();
    reply.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE);
    match answer {
        Answer::Silence => return None,
        Answer::InetAlone(_) if kind != QTYPE::TYPE(TYPE::A) => return None,
        Answer::Code(code) => *reply.rcode_mut() = *code,
        Answer::Addresses(addresses) | Answer::InetAlone(addresses) => {
            let name = query.questions[0].qname.clone();
            for address in addresses {
                let data = match (address, kind) {
                    (IpAddr::V4(v4), QTYPE::TYPE(TYPE::A)) => RData::A(A { address: (*v4).into() }),
                    (IpAddr::V6(v6), QTYPE::TYPE(TYPE::AAAA)) => RData::AAAA(AAAA { address: (*v6).into() }),
                    (IpAddr::V4(_) | IpAddr::V6(_), _) => continue,
                };
                reply.answers.push(ResourceRecord::new(name.clone(), CLASS::IN, 0, data));
            }
        }
    }
    Some(reply.build_bytes_vec_compressed().expect("a short packet"))
}
