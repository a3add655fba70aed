//! The first bytes of a file -> which reader it is for. Names of files say nothing: `pytorch_model.bin` has three formats.

use std::path::Path;

use super::torch::is_legacy_torch;
use crate::error::{Error, Result};

/// A format of weight files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The zip container of torch 1.6 and later.
    TorchZip,
    /// The row of pickles of earlier torch.
    TorchLegacy,
    /// Paddle's pickled dict of arrays.
    PaddlePickle,
    /// A JSON header and the tensors' bytes.
    Safetensors,
    /// One or more tensors of Paddle's static graphs.
    LodTensor,
}

/// The format of the file that begins with `bytes`.
///
/// # Errors
/// [`Error::InvalidModel`]: empty; a pointer of git-lfs or a web page in place of weights; anything else.
pub(crate) fn kind(path: &Path, bytes: &[u8]) -> Result<Kind> {
    let text = bytes.trim_ascii_start();
    let text = text.strip_prefix(b"\xEF\xBB\xBF").map_or(text, <[u8]>::trim_ascii_start);
    // The length of a header may begin like a pickle, so a header that fits into the file is looked for first.
    let has_header = bytes.get(8) == Some(&b'{');
    let header_fits = first_u64(bytes).is_some_and(|n| n <= bytes.len() as u64);
    match bytes {
        [] => Err(Error::model(path, "the file is empty")),
        _ if has_header && header_fits => Ok(Kind::Safetensors),
        [b'P', b'K', 3, 4, ..] => Ok(Kind::TorchZip),
        [0x80, ..] if is_legacy_torch(bytes) => Ok(Kind::TorchLegacy),
        [0x80, ..] => Ok(Kind::PaddlePickle),
        _ if text.starts_with(b"version https://git-lfs") => {
            Err(Error::model(path, "a git-lfs pointer: the file itself was not downloaded (`git lfs pull` does that)"))
        }
        _ if text.starts_with(b"<") => Err(Error::model(path, "an HTML or XML page, not weights")),
        _ if has_header => Ok(Kind::Safetensors),
        [0, 0, 0, 0, level @ ..] if first_u64(level).is_some_and(|n| n < 16) => Ok(Kind::LodTensor),
        _ => {
            let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            let start = start.join(" ");
            Err(Error::model(path, format!("not a weights file of a known format; it begins with {start}")))
        }
    }
}

fn first_u64(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<Kind> {
        kind(Path::new("w.bin"), bytes)
    }

    #[test]
    fn the_first_bytes_tell_the_format() {
        let legacy = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
        let huge = [&[0xFF; 8][..], b"{}"].concat();
        let like_pickle = [&640_u64.to_le_bytes()[..], b"{", &[b' '; 700]].concat();
        for (bytes, kind) in [
            (&b"PK\x03\x04rest"[..], Kind::TorchZip),
            (legacy, Kind::TorchLegacy),
            (b"\x80\x02}q\x00.", Kind::PaddlePickle),
            (b"\x80\x09", Kind::PaddlePickle),
            (b"\x02\0\0\0\0\0\0\0{}", Kind::Safetensors),
            (&huge, Kind::Safetensors),
            (&like_pickle, Kind::Safetensors),
            (&[0; 12], Kind::LodTensor),
        ] {
            assert_eq!(of(bytes).unwrap(), kind, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_weights_file_is_called_by_its_name() {
        for (bytes, part) in [
            (&b""[..], "empty"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
            (b"\xEF\xBB\xBF \n<!DOCTYPE html>", "HTML"),
            (b"<?xml?>", "XML"),
            (b"GIF89a", "47 49 46 38 39 61"),
            (&[0; 11], "00 00 00 00"),
            (b"\0\0\0\0\x10\0\0\0\0\0\0\0", "known format"),
        ] {
            let message = of(bytes).unwrap_err().report();
            assert!(message.contains(part), "{message}");
        }
    }
}
