//! Sums of tiles with the matrix registers of x86-64 (AMX), each of 16 rows of 64 bytes.
//!
//! Rows lie one after another, each filled up with zeros to whole registers; a panel is as everywhere. What a row gives does not
//! depend on the rows beside it.

use std::arch::asm;
use std::sync::OnceLock;

use super::matrix::{Format, PANEL_WIDTH};
use super::product::{Sums, TileWork};

/// Rows of a register, and steps that a register of rows holds.
pub(super) const REGISTER_ROWS: usize = 16;
/// Rows that go through a panel together, with two registers for them.
pub(super) const TILE_ROWS: usize = 2 * REGISTER_ROWS;
/// Bytes of a step of a panel.
const STEP: usize = PANEL_WIDTH * 4;

/// Whether the processor has the registers and the system lets this process use them, for which it is asked once.
pub(super) fn is_there() -> bool {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    *IS_THERE.get_or_init(|| has_instructions() && is_allowed())
}

fn has_instructions() -> bool {
    /// In EDX of leaf 7: products of bf16, the registers, products of bytes.
    const BITS: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    let most = std::arch::x86_64::__cpuid(0).eax;
    most >= 7 && std::arch::x86_64::__cpuid_count(7, 0).edx & BITS == BITS
}

/// Asks the system, which keeps room for the registers from then on.
#[cfg(target_os = "linux")]
fn is_allowed() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_ulong = 18;
    // SAFETY: takes numbers, and changes nothing but what this process may use.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_allowed() -> bool {
    false
}

/// What registers hold: 0 to 3 sums, 4 and 5 rows, 6 and 7 weights.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    n_rows: [u8; 16],
}

/// The shapes of registers that this thread has set, and is to give up at the end.
#[derive(Default)]
pub(super) struct Registers {
    /// Rows of a tile that they are set for; none at first.
    n_rows: usize,
}

impl Registers {
    /// Sums of a tile's rows.
    ///
    /// # Safety
    /// - `work.rows` begins `n_rows` rows, from 1 to [`TILE_ROWS`], of `n_steps` steps filled up with zeros to a multiple of
    ///   [`REGISTER_ROWS`], `work.panel` `n_steps` steps of 32; [`is_there`]. Nobody else uses the registers of this thread meanwhile.
    pub(super) unsafe fn multiply(&mut self, format: Format, work: TileWork, n_rows: usize, sums: &mut Sums) {
        if self.n_rows != n_rows {
            self.configure(n_rows);
        }
        let n_rounds = work.n_steps.div_ceil(REGISTER_ROWS);
        let n_left = work.n_steps % REGISTER_ROWS;
        let last = n_rounds.saturating_sub(1) * REGISTER_ROWS;
        let mut rest = Rest([0; REGISTER_ROWS * STEP]);
        let last_weights = if n_left == 0 {
            work.panel.wrapping_add(last * STEP)
        } else {
            // SAFETY: the steps that are left of the panel.
            let left = unsafe { std::slice::from_raw_parts(work.panel.add(last * STEP), n_left * STEP) };
            rest.0[..left.len()].copy_from_slice(left);
            rest.0.as_ptr()
        };
        let row_bytes = n_rounds * REGISTER_ROWS * 4;
        let operands = Operands {
            rows: work.rows.cast(),
            row_bytes,
            panel: work.panel,
            last_weights,
            n_rounds,
            sums: sums.0.as_mut_ptr().cast(),
        };
        // SAFETY: the rows, weights and sums that the registers are set for.
        unsafe {
            match (format, n_rows > REGISTER_ROWS) {
                (Format::Int8, true) => int8_two(operands),
                (Format::Int8, false) => int8_one(operands),
                (_, true) => bf16_two(operands),
                (_, false) => bf16_one(operands),
            }
        }
    }

    fn configure(&mut self, n_rows: usize) {
        let of = [n_rows.min(REGISTER_ROWS), n_rows.saturating_sub(REGISTER_ROWS)].map(|n| n as u8);
        let mut shape =
            Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], n_rows: [0; 16] };
        let all = REGISTER_ROWS as u8;
        for (register, n_rows) in [of[0], of[0], of[1], of[1], of[0], of[1], all, all].into_iter().enumerate() {
            shape.n_rows[register] = n_rows;
            shape.row_bytes[register] = if n_rows > 0 { 64 } else { 0 };
        }
        // SAFETY: reads 64 bytes; the registers are this thread's.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shape, options(nostack, readonly, preserves_flags)) };
        self.n_rows = n_rows;
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        if self.n_rows > 0 {
            // SAFETY: they were set.
            unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
        }
    }
}

/// The last steps of a panel, filled up with zeros.
#[repr(C, align(64))]
struct Rest([u8; REGISTER_ROWS * STEP]);

struct Operands {
    rows: *const u8,
    row_bytes: usize,
    panel: *const u8,
    /// The weights of the last round.
    last_weights: *const u8,
    n_rounds: usize,
    sums: *mut u8,
}

/// Functions that multiply up to 16 rows, and up to 32.
macro_rules! products {
    ($one:ident, $two:ident, $multiply:literal) => {
        /// # Safety
        /// - Registers are set for so many rows; operands are as [`Registers::multiply`] says, with a round at least.
        unsafe fn $one(operands: Operands) {
            // SAFETY: by the caller's obligation.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "cmp {left}, 1",
                    "cmove {panel}, {last}",
                    "2:",
                    "tileloadd tmm4, [{rows} + {row_bytes}]",
                    "tileloadd tmm6, [{panel} + {step}]",
                    "tileloadd tmm7, [{panel} + {step} + 64]",
                    concat!($multiply, " tmm0, tmm4, tmm6"),
                    concat!($multiply, " tmm1, tmm4, tmm7"),
                    "add {rows}, 64",
                    "add {panel}, 2048",
                    "dec {left}",
                    "cmp {left}, 1",
                    "cmove {panel}, {last}",
                    "jae 2b",
                    "tilestored [{sums} + {step}], tmm0",
                    "tilestored [{sums} + {step} + 64], tmm1",
                    rows = inout(reg) operands.rows => _,
                    row_bytes = in(reg) operands.row_bytes,
                    panel = inout(reg) operands.panel => _,
                    last = in(reg) operands.last_weights,
                    left = inout(reg) operands.n_rounds => _,
                    sums = in(reg) operands.sums,
                    step = in(reg) STEP,
                    options(nostack),
                );
            }
        }

        /// # Safety
        /// - As for up to 16.
        unsafe fn $two(operands: Operands) {
            // SAFETY: by the caller's obligation.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "cmp {left}, 1",
                    "cmove {panel}, {last}",
                    "2:",
                    "tileloadd tmm4, [{rows} + {row_bytes}]",
                    "tileloadd tmm6, [{panel} + {step}]",
                    "tileloadd tmm7, [{panel} + {step} + 64]",
                    concat!($multiply, " tmm0, tmm4, tmm6"),
                    "tileloadd tmm5, [{below} + {row_bytes}]",
                    concat!($multiply, " tmm1, tmm4, tmm7"),
                    concat!($multiply, " tmm2, tmm5, tmm6"),
                    concat!($multiply, " tmm3, tmm5, tmm7"),
                    "add {rows}, 64",
                    "add {below}, 64",
                    "add {panel}, 2048",
                    "dec {left}",
                    "cmp {left}, 1",
                    "cmove {panel}, {last}",
                    "jae 2b",
                    "tilestored [{sums} + {step}], tmm0",
                    "tilestored [{sums} + {step} + 64], tmm1",
                    "tilestored [{sums} + {step} + 2048], tmm2",
                    "tilestored [{sums} + {step} + 2112], tmm3",
                    rows = inout(reg) operands.rows => _,
                    below = inout(reg) operands.rows.add(REGISTER_ROWS * operands.row_bytes) => _,
                    row_bytes = in(reg) operands.row_bytes,
                    panel = inout(reg) operands.panel => _,
                    last = in(reg) operands.last_weights,
                    left = inout(reg) operands.n_rounds => _,
                    sums = in(reg) operands.sums,
                    step = in(reg) STEP,
                    options(nostack),
                );
            }
        }
    };
}

products!(int8_one, int8_two, "tdpbusd");
products!(bf16_one, bf16_two, "tdpbf16ps");
