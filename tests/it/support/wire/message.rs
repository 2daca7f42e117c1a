//! Messages of the protocol: a letter, the length of the rest, the rest.

use std::io::{self, Read};

/// One message, as it came.
pub(super) struct Message {
    /// The letter, or 0 in the first message of a client, which has none.
    pub(super) kind: u8,
    pub(super) bytes: Vec<u8>,
}

impl Message {
    /// The first message of a client, which has no letter.
    pub(super) fn read_first(from: &mut impl Read) -> io::Result<Message> {
        Message::read_rest(from, 0, Vec::new())
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Message> {
        let mut kind = [0];
        from.read_exact(&mut kind)?;
        Message::read_rest(from, kind[0], kind.to_vec())
    }

    fn read_rest(from: &mut impl Read, kind: u8, mut bytes: Vec<u8>) -> io::Result<Message> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        bytes.extend(length);
        let start = bytes.len();
        // The length counts itself.
        let rest = u32::from_be_bytes(length).saturating_sub(4);
        bytes.resize(start + usize::try_from(rest).unwrap(), 0);
        from.read_exact(&mut bytes[start..])?;
        Ok(Message { kind, bytes })
    }

    /// Whether this asks for TLS or GSSAPI encryption before the connection really begins.
    pub(super) fn asks_for_encryption(&self) -> bool {
        let code = self.bytes.get(4..8);
        self.kind == 0 && [80_877_103_u32, 80_877_104].iter().any(|ask| code == Some(&ask.to_be_bytes()))
    }

    /// The texts, each ended by a zero byte, that the rest begins with.
    pub(super) fn texts<const N: usize>(&self) -> [String; N] {
        let mut texts = self.bytes[5..].split(|&byte| byte == 0);
        std::array::from_fn(|_| String::from_utf8_lossy(texts.next().unwrap_or_default()).into_owned())
    }
}
