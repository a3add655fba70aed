//! Sums of tiles with the matrix registers of x86-64 (AMX), each of 16 rows of 64 bytes.
//!
//! Rows lie as registers take them, `[groups of 16 steps][rows][16]`, filled up with zeros; a panel is as everywhere. What a row gives does not
//! depend on the rows beside it.

use std::arch::asm;
use std::sync::OnceLock;

use super::matrix::{Format, PANEL_WIDTH};
use super::product::{Sums, TileWork};

/// Rows of a register.
const REGISTER_ROWS: usize = 16;
/// Steps that a register of rows holds, and rows that one of weights does.
pub(super) const REGISTER_STEPS: usize = 16;
/// Rows that go through a panel together, with two registers for them.
pub(super) const TILE_ROWS: usize = 2 * REGISTER_ROWS;
/// Bytes of a step of a panel.
const STEP: usize = PANEL_WIDTH * 4;
/// Bytes of a row of a register.
const ROW_BYTES: usize = 64;

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
    /// - `work.rows` begins `n_rows` rows, from 1 to [`TILE_ROWS`], of `n_steps` steps, in groups filled up with zeros,
    ///   `work.panel` `n_steps` steps of 32; [`is_there`]. Nobody else uses the registers of this thread meanwhile.
    pub(super) unsafe fn multiply(&mut self, format: Format, work: TileWork, n_rows: usize, sums: &mut Sums) {
        if self.n_rows != n_rows {
            self.configure(n_rows);
        }
        let n_rounds = work.n_steps.div_ceil(REGISTER_STEPS);
        let n_left = work.n_steps % REGISTER_STEPS;
        let last = n_rounds.saturating_sub(1) * REGISTER_STEPS;
        let mut rest = Rest([0; REGISTER_STEPS * STEP]);
        let last_weights = if n_left == 0 {
            work.panel.wrapping_add(last * STEP)
        } else {
            // SAFETY: the steps that are left of the panel.
            let left = unsafe { std::slice::from_raw_parts(work.panel.add(last * STEP), n_left * STEP) };
            rest.0[..left.len()].copy_from_slice(left);
            rest.0.as_ptr()
        };
        let operands = Operands {
            rows: work.rows.cast(),
            round_bytes: n_rows * ROW_BYTES,
            panel: work.panel,
            last_weights,
            n_rounds,
            ahead: work.ahead,
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
struct Rest([u8; REGISTER_STEPS * STEP]);

struct Operands {
    rows: *const u8,
    /// Of all rows in a round.
    round_bytes: usize,
    panel: *const u8,
    /// The weights of the last round.
    last_weights: *const u8,
    n_rounds: usize,
    /// What is asked for on the way, 32 lines a round; null asks for nothing.
    ahead: *const u8,
    sums: *mut u8,
}

/// Asks for the lines of a round.
macro_rules! ask_ahead {
    () => {
        concat!(
            "test {ahead}, {ahead}\n",
            "jz 3f\n",
            "prefetcht1 [{ahead} + 0]\n",
            "prefetcht1 [{ahead} + 64]\n",
            "prefetcht1 [{ahead} + 128]\n",
            "prefetcht1 [{ahead} + 192]\n",
            "prefetcht1 [{ahead} + 256]\n",
            "prefetcht1 [{ahead} + 320]\n",
            "prefetcht1 [{ahead} + 384]\n",
            "prefetcht1 [{ahead} + 448]\n",
            "prefetcht1 [{ahead} + 512]\n",
            "prefetcht1 [{ahead} + 576]\n",
            "prefetcht1 [{ahead} + 640]\n",
            "prefetcht1 [{ahead} + 704]\n",
            "prefetcht1 [{ahead} + 768]\n",
            "prefetcht1 [{ahead} + 832]\n",
            "prefetcht1 [{ahead} + 896]\n",
            "prefetcht1 [{ahead} + 960]\n",
            "prefetcht1 [{ahead} + 1024]\n",
            "prefetcht1 [{ahead} + 1088]\n",
            "prefetcht1 [{ahead} + 1152]\n",
            "prefetcht1 [{ahead} + 1216]\n",
            "prefetcht1 [{ahead} + 1280]\n",
            "prefetcht1 [{ahead} + 1344]\n",
            "prefetcht1 [{ahead} + 1408]\n",
            "prefetcht1 [{ahead} + 1472]\n",
            "prefetcht1 [{ahead} + 1536]\n",
            "prefetcht1 [{ahead} + 1600]\n",
            "prefetcht1 [{ahead} + 1664]\n",
            "prefetcht1 [{ahead} + 1728]\n",
            "prefetcht1 [{ahead} + 1792]\n",
            "prefetcht1 [{ahead} + 1856]\n",
            "prefetcht1 [{ahead} + 1920]\n",
            "prefetcht1 [{ahead} + 1984]\n",
            "add {ahead}, 2048\n",
            "3:",
        )
    };
}

/// A function that multiplies the rows of a tile: what it does before the rounds, in each, and with the sums.
macro_rules! product {
    ($name:ident, [$($zero:expr),*], [$($round:expr),*], [$($store:expr),*]) => {
        /// # Safety
        /// - Registers are set for the rows; operands are as [`Registers::multiply`] says, with a round at least.
        unsafe fn $name(operands: Operands) {
            // SAFETY: by the caller's obligation.
            unsafe {
                asm!(
                    $($zero,)*
                    "cmp {left}, 1",
                    "cmove {panel}, {last}",
                    "2:",
                    "tileloadd tmm4, [{rows} + {row}]",
                    "tileloadd tmm6, [{panel} + {step}]",
                    "tileloadd tmm7, [{panel} + {step} + 64]",
                    $($round,)*
                    ask_ahead!(),
                    "add {rows}, {round}",
                    "add {panel}, 2048",
                    "dec {left}",
                    "cmp {left}, 1",
                    "cmove {panel}, {last}",
                    "jae 2b",
                    $($store,)*
                    rows = inout(reg) operands.rows => _,
                    round = in(reg) operands.round_bytes,
                    row = in(reg) ROW_BYTES,
                    panel = inout(reg) operands.panel => _,
                    last = in(reg) operands.last_weights,
                    left = inout(reg) operands.n_rounds => _,
                    sums = in(reg) operands.sums,
                    ahead = inout(reg) operands.ahead => _,
                    step = in(reg) STEP,
                    options(nostack),
                );
            }
        }
    };
}

/// Functions that multiply up to 16 rows, and up to 32.
macro_rules! products {
    ($one:ident, $two:ident, $multiply:literal) => {
        product!(
            $one,
            ["tilezero tmm0", "tilezero tmm1"],
            [concat!($multiply, " tmm0, tmm4, tmm6"), concat!($multiply, " tmm1, tmm4, tmm7")],
            ["tilestored [{sums} + {step}], tmm0", "tilestored [{sums} + {step} + 64], tmm1"]
        );
        product!(
            $two,
            ["tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3"],
            [
                concat!($multiply, " tmm0, tmm4, tmm6"),
                "tileloadd tmm5, [{rows} + {row} + 1024]",
                concat!($multiply, " tmm1, tmm4, tmm7"),
                concat!($multiply, " tmm2, tmm5, tmm6"),
                concat!($multiply, " tmm3, tmm5, tmm7")
            ],
            [
                "tilestored [{sums} + {step}], tmm0",
                "tilestored [{sums} + {step} + 64], tmm1",
                "tilestored [{sums} + {step} + 2048], tmm2",
                "tilestored [{sums} + {step} + 2112], tmm3"
            ]
        );
    };
}

products!(int8_one, int8_two, "tdpbusd");
products!(bf16_one, bf16_two, "tdpbf16ps");
