//! Work that waits for the disk, from wherever it is called.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does work that may wait for the disk. On a runtime with several threads, whatever else this thread had to do moves to
/// another first; elsewhere there is nothing to move, and the work is simply done.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_works_everywhere() {
        assert_eq!(blocking(|| 1), 1);
        let alone = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(alone.block_on(async { blocking(|| 2) }), 2);
        let many = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        assert_eq!(many.block_on(async { tokio::spawn(async { blocking(|| 3) }).await.unwrap() }), 3);
    }
}
