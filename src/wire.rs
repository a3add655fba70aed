//! The wire format of protocol buffers, read in place.
//!
//! Nothing is decoded or copied: a message is a slice, and so is every message in it. What is no message is an error,
//! whose place is where the rest of the slice begins.

/// The value of one field; fixed-width numbers come as their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
}

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMessage;

/// The next field of a message and its number; `Ok(None)` at the end.
pub(crate) fn next_field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u64, Field<'a>)>, NoMessage> {
    if rest.is_empty() {
        return Ok(None);
    }
    let key = varint(rest)?;
    let field = match key & 7 {
        0 => Field::Number(varint(rest)?),
        1 => Field::Fixed64(take(rest, 8)?.try_into().map_err(|_| NoMessage)?),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| NoMessage)?;
            Field::Bytes(take(rest, length)?)
        }
        5 => Field::Fixed32(take(rest, 4)?.try_into().map_err(|_| NoMessage)?),
        _ => return Err(NoMessage),
    };
    if key >> 3 == 0 { Err(NoMessage) } else { Ok(Some((key >> 3, field))) }
}

/// A number of variable length, at most 64 bits.
pub(crate) fn varint(rest: &mut &[u8]) -> Result<u64, NoMessage> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(NoMessage)?;
        *rest = after;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(NoMessage)
}

fn take<'a>(rest: &mut &'a [u8], n_bytes: usize) -> Result<&'a [u8], NoMessage> {
    let (taken, after) = rest.split_at_checked(n_bytes).ok_or(NoMessage)?;
    *rest = after;
    Ok(taken)
}
