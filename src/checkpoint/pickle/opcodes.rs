//! The opcodes that state dicts use, as `pickletools` of Python names them. Protocols 0 and 1 (`INT`, `STRING`, `PUT`,
//! ...) and whatever makes objects of arbitrary classes (`INST`, `OBJ`, `NEWOBJ`, `EXT1`, ...) are not among them.

/// Ends the pickle; the top of the stack is its value.
pub(super) const STOP: u8 = b'.';
/// Remembers the height of the stack.
pub(super) const MARK: u8 = b'(';
/// Drops the top of the stack, or a mark that is on top.
pub(super) const POP: u8 = b'0';
/// Drops everything above the last mark, and the mark.
pub(super) const POP_MARK: u8 = b'1';
/// Pushes the top of the stack again.
pub(super) const DUP: u8 = b'2';
/// Begins a pickle: one byte of protocol follows.
pub(super) const PROTO: u8 = 0x80;
/// Says how many bytes may be read at once; eight bytes of length follow.
pub(super) const FRAME: u8 = 0x95;

/// `None`.
pub(super) const NONE: u8 = b'N';
/// `True`.
pub(super) const NEWTRUE: u8 = 0x88;
/// `False`.
pub(super) const NEWFALSE: u8 = 0x89;
/// A signed integer of four bytes.
pub(super) const BININT: u8 = b'J';
/// An unsigned integer of one byte.
pub(super) const BININT1: u8 = b'K';
/// An unsigned integer of two bytes.
pub(super) const BININT2: u8 = b'M';
/// A signed integer whose length is one byte.
pub(super) const LONG1: u8 = 0x8A;
/// A signed integer whose length is four bytes.
pub(super) const LONG4: u8 = 0x8B;
/// A big-endian double.
pub(super) const BINFLOAT: u8 = b'G';

/// A string of Python 2 with a signed length of four bytes.
pub(super) const BINSTRING: u8 = b'T';
/// A string of Python 2 with a length of one byte.
pub(super) const SHORT_BINSTRING: u8 = b'U';
/// UTF-8 with a length of four bytes.
pub(super) const BINUNICODE: u8 = b'X';
/// UTF-8 with a length of one byte.
pub(super) const SHORT_BINUNICODE: u8 = 0x8C;
/// UTF-8 with a length of eight bytes.
pub(super) const BINUNICODE8: u8 = 0x8D;
/// Bytes with a length of four bytes.
pub(super) const BINBYTES: u8 = b'B';
/// Bytes with a length of one byte.
pub(super) const SHORT_BINBYTES: u8 = b'C';
/// Bytes with a length of eight bytes.
pub(super) const BINBYTES8: u8 = 0x8E;
/// A `bytearray` with a length of eight bytes.
pub(super) const BYTEARRAY8: u8 = 0x96;

/// `()`.
pub(super) const EMPTY_TUPLE: u8 = b')';
/// A tuple of everything above the last mark.
pub(super) const TUPLE: u8 = b't';
/// A tuple of the top.
pub(super) const TUPLE1: u8 = 0x85;
/// A tuple of the top two.
pub(super) const TUPLE2: u8 = 0x86;
/// A tuple of the top three.
pub(super) const TUPLE3: u8 = 0x87;
/// `[]`.
pub(super) const EMPTY_LIST: u8 = b']';
/// A list of everything above the last mark.
pub(super) const LIST: u8 = b'l';
/// Appends the top to the list below.
pub(super) const APPEND: u8 = b'a';
/// Appends everything above the last mark to the list below.
pub(super) const APPENDS: u8 = b'e';
/// `{}`.
pub(super) const EMPTY_DICT: u8 = b'}';
/// A dict of the keys and values above the last mark.
pub(super) const DICT: u8 = b'd';
/// Puts a key and a value into the dict below.
pub(super) const SETITEM: u8 = b's';
/// Puts the keys and values above the last mark into the dict below.
pub(super) const SETITEMS: u8 = b'u';

/// Pushes a global: two lines, module and name.
pub(super) const GLOBAL: u8 = b'c';
/// Pushes a global whose module and name are on the stack.
pub(super) const STACK_GLOBAL: u8 = 0x93;
/// Calls the callable below with the tuple on top.
pub(super) const REDUCE: u8 = b'R';
/// Gives the object below the state on top.
pub(super) const BUILD: u8 = b'b';
/// An object that is stored outside the pickle, named by the top.
pub(super) const BINPERSID: u8 = b'Q';

/// Remembers the top under a number of one byte.
pub(super) const BINPUT: u8 = b'q';
/// Remembers the top under a number of four bytes.
pub(super) const LONG_BINPUT: u8 = b'r';
/// Remembers the top under the next number.
pub(super) const MEMOIZE: u8 = 0x94;
/// Pushes what was remembered under a number of one byte.
pub(super) const BINGET: u8 = b'h';
/// Pushes what was remembered under a number of four bytes.
pub(super) const LONG_BINGET: u8 = b'j';
