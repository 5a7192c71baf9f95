//! The messages between the loop and a helper: any packet, and any message.

use std::net::IpAddr;

use tcpmon::base::limits;
use tcpmon::base::text::Text;
use tcpmon::base::time::Nanos;
use tcpmon::model::message::{Addresses, Answer, REPLY, REQUEST, Reply, Request};
use tcpmon::model::reason::{Reason, Shortage};
use tcpmon::model::target::{Address, Family};

use super::{Bytes, text_of};

/// Any packet is decoded or refused; a decoded one is encoded as the same message; and any message
/// survives encoding and decoding.
pub fn holds(input: &[u8]) {
    any_request_packet(input);
    any_reply_packet(input);
    any_request(Bytes(input));
    any_reply(Bytes(input));
}

fn any_request_packet(input: &[u8]) {
    let Some(request) = Request::decode(input) else { return };
    let mut packet = [0xa5; REQUEST];
    let length = request.encode(&mut packet);
    assert_eq!(&packet[..length], input, "{request:?}");
}

fn any_reply_packet(input: &[u8]) {
    let Some(reply) = Reply::decode(input) else { return };
    let mut packet = [0xa5; REPLY];
    let length = reply.encode(&mut packet);
    assert_eq!(length, input.len(), "{reply:?}");
    assert_eq!(Reply::decode(&packet[..length]), Some(reply));
    match reply.answer {
        Answer::Found(addresses) => assert!((1..=limits::ADDRESSES).contains(&addresses.as_slice().len())),
        Answer::Failed(_) | Answer::Short(_) => assert_eq!(&packet[..length], input, "{reply:?}"),
    }
}

fn any_request(mut bytes: Bytes<'_>) {
    let token = u32::from_le_bytes(bytes.array());
    let family = [Family::Any, Family::Inet, Family::Inet6][usize::from(bytes.byte() % 3)];
    let host = Text::format(format_args!("{}", text_of(bytes.0)));
    let request = Request { token, family, host };
    let mut packet = [0xa5; REQUEST];
    let length = request.encode(&mut packet);
    assert_eq!(Request::decode(&packet[..length]), Some(request));
    let shorter = Request::decode(&packet[..length - 1]);
    assert_ne!(shorter, Some(request), "the last byte has no effect");
}

fn any_reply(mut bytes: Bytes<'_>) {
    let token = u32::from_le_bytes(bytes.array());
    let elapsed = Nanos::new(u64::from_le_bytes(bytes.array()));
    let answer = answer(bytes);
    let mut packet = [0xa5; REPLY];
    let length = Reply { token, elapsed, answer }.encode(&mut packet);
    assert_eq!(Reply::decode(&packet[..length]), Some(Reply { token, elapsed, answer }));
}

/// Any answer.
fn answer(mut bytes: Bytes<'_>) -> Answer {
    let which = usize::from(bytes.byte());
    match which % 3 {
        0 => Answer::Failed(Reason::NAMED[which / 3 % Reason::NAMED.len()]),
        1 => Answer::Short(Shortage::ALL[which / 3 % Shortage::ALL.len()]),
        _ => {
            let mut addresses = Addresses::new();
            loop {
                let ip = if bytes.byte() % 2 == 0 {
                    IpAddr::from(bytes.array::<4>())
                } else {
                    IpAddr::from(bytes.array::<16>())
                };
                let room = addresses.as_slice().len() < limits::ADDRESSES;
                let scope = u32::from_le_bytes(bytes.array());
                assert_eq!(addresses.push(Address { ip, scope }), room, "exactly `ADDRESSES` fit");
                if bytes.is_empty() || !room {
                    break Answer::Found(addresses);
                }
            }
        }
    }
}
