//! How many threads one run can use.

use std::collections::HashSet;
use std::sync::OnceLock;

/// The number of threads that `wanted` asks for; 0 is one per core, found out once.
pub(crate) fn usable_threads(wanted: usize) -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    if wanted > 0 { wanted } else { *CORES.get_or_init(usable_physical_cores) }
}

/// Physical cores of the machine, where two hardware threads of a core count once, but no more than the processors
/// that affinity masks and container quotas leave to this process. At least 1.
fn usable_physical_cores() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    physical_cores().map_or(allowed, |cores| cores.clamp(1, allowed))
}

/// Distinct cores as the kernel lists them; `None` where it does not.
fn physical_cores() -> Option<usize> {
    let mut cores = HashSet::new();
    for entry in std::fs::read_dir("/sys/devices/system/cpu").ok()? {
        let path = entry.ok()?.path().join("topology/thread_siblings_list");
        // Entries that are no processors, and processors that are off, have no such file.
        cores.extend(std::fs::read_to_string(path));
    }
    (!cores.is_empty()).then_some(cores.len())
}
