//! The disk fails: writes that take nothing or half, cuts and syncs that are refused.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::*;
use crate::audit::{file::LogFile, state::Tip};

const ENOSPC: i32 = 28;

/// A real file on a disk with so many bytes left.
struct Disk {
    file: File,
    /// Shared with the files that follow.
    room: Arc<AtomicU64>,
    cut_fails: AtomicBool,
    sync_fails: AtomicBool,
    create_fails: AtomicBool,
    syncs: AtomicU64,
    /// While true, a sync does not come back.
    held: Mutex<bool>,
    freed: Condvar,
}

impl Disk {
    fn make(path: &Path, settings: Settings) -> (Arc<Self>, AuditLog) {
        let disk = Arc::new(Self::of(crate::audit::file::open(path).unwrap(), Arc::new(AtomicU64::new(u64::MAX))));
        let log = AuditLog::with_file(path, Arc::<Self>::clone(&disk), Tip::START, settings, clock());
        (disk, log)
    }

    fn of(file: File, room: Arc<AtomicU64>) -> Self {
        Self {
            file,
            room,
            cut_fails: AtomicBool::new(false),
            sync_fails: AtomicBool::new(false),
            create_fails: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
            held: Mutex::new(false),
            freed: Condvar::new(),
        }
    }

    fn leave(&self, room: u64) {
        self.room.store(room, Ordering::SeqCst);
    }
}

impl LogFile for Disk {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room.load(Ordering::SeqCst);
        let count = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if count == 0 {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        let count = LogFile::write(&self.file, &bytes[..count])?;
        self.leave(room - count as u64);
        Ok(count)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn cut_to(&self, length: u64) -> io::Result<()> {
        if self.cut_fails.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.cut_to(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        let mut held = self.held.lock().unwrap();
        while *held {
            held = self.freed.wait(held).unwrap();
        }
        if self.sync_fails.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.file.is_at(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        if self.create_fails.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        Ok(Arc::new(Self::of(crate::audit::files::create(path)?, Arc::clone(&self.room))))
    }
}

const FSYNC: Settings = Settings { durability: Durability::Fsync, max_size: 0, keep: None, witness: None };

#[test]
fn attack_105_a_full_disk_refuses_and_leaves_no_half_line() {
    let (_folder, path) = place();
    let (disk, log) = Disk::make(&path, Settings::default());
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    let (before, head) = (fs::read(&path).unwrap(), log.head());
    disk.leave(20);
    let id = RequestId::next();
    let error = log.append(&begun(id)).unwrap_err().to_string();
    assert!(error.contains("cannot write the audit log") && error.contains("No space left"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before, "the twenty bytes were cut off again");
    assert!(!log.is_healthy());
    assert_eq!(log.head(), head, "what was refused is not in the chain");
    log.append_lazily(&Event::new(Action::LeaseExpire));
    assert!(log.flush().is_err());
    assert!(log.append(&begun(id)).is_err());

    disk.leave(u64::MAX);
    log.append(&Event::new(Action::PolicyChange)).unwrap();
    assert!(log.is_healthy());
    assert_eq!(actions(&path), ["daemon_start", "lease_expire", "policy_change", "audit_recovered"]);
    assert_eq!(last_details(&path), "the log could not be written: 2 events refused, 0 events lost");
    assert!(verify(&path).unwrap().is_whole());
}

#[test]
fn a_log_heals_by_flush_alone() {
    let (_folder, path) = place();
    let (disk, log) = Disk::make(&path, Settings::default());
    disk.leave(0);
    assert!(log.append(&Event::new(Action::DaemonStart)).is_err());
    assert!(log.flush().is_err());
    assert!(!log.is_healthy(), "a flush that writes nothing proves nothing");
    disk.leave(u64::MAX);
    log.flush().unwrap();
    assert!(log.is_healthy());
    assert_eq!(actions(&path), ["audit_recovered"]);
}

#[test]
fn a_half_line_that_cannot_be_cut_off_is_cut_off_before_the_next_write() {
    let (_folder, path) = place();
    let (disk, log) = Disk::make(&path, Settings::default());
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    disk.leave(20);
    disk.cut_fails.store(true, Ordering::SeqCst);
    assert!(log.append(&Event::new(Action::PolicyChange)).is_err());
    disk.leave(u64::MAX);
    assert!(log.append(&Event::new(Action::PolicyChange)).is_err(), "not after half a line");
    assert_eq!(verify(&path).unwrap().first_break, Some(Break { file: None, line: 2, why: BreakKind::Torn }));
    disk.cut_fails.store(false, Ordering::SeqCst);
    log.append(&Event::new(Action::PolicyReload)).unwrap();
    assert_eq!(actions(&path), ["daemon_start", "policy_reload", "audit_recovered"]);
    assert!(verify(&path).unwrap().is_whole());
}

#[test]
fn what_waits_for_a_full_disk_is_bounded_and_what_is_lost_is_counted() {
    let (_folder, path) = place();
    let (disk, log) = Disk::make(&path, Settings::default());
    disk.leave(0);
    let text = "x".repeat(1000);
    let event = Event::new(Action::PolicyChange).details(&text);
    for _ in 0..4500 {
        log.append_lazily(&event);
    }
    disk.leave(u64::MAX);
    log.flush().unwrap();
    let size = path.metadata().unwrap().len();
    assert!((4 << 20..(4 << 20) + 4096).contains(&size), "{size}");
    let kept = actions(&path).len() - 1;
    assert_eq!(
        last_details(&path),
        format!("the log could not be written: 0 events refused, {} events lost", 4500 - kept)
    );
    assert!(verify(&path).unwrap().is_whole());
}

#[test]
fn attack_105_after_a_failed_sync_lines_are_written_again_not_synced_again() {
    let (_folder, path) = place();
    let (disk, log) = Disk::make(&path, FSYNC);
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    let synced = fs::read(&path).unwrap();
    disk.sync_fails.store(true, Ordering::SeqCst);
    assert!(log.append(&Event::new(Action::PolicyChange)).is_err());
    assert_eq!(fs::read(&path).unwrap(), synced, "what the disk did not take is cut off");
    assert!(!log.is_healthy());
    disk.sync_fails.store(false, Ordering::SeqCst);
    log.append(&Event::new(Action::PolicyReload)).unwrap();
    assert_eq!(actions(&path), ["daemon_start", "policy_change", "policy_reload", "audit_recovered"]);
    assert!(log.is_healthy());
    let verified = verify(&path).unwrap();
    assert_eq!((verified.first_break, verified.head), (None, Some(log.head())));
}

#[test]
fn those_who_wait_for_the_disk_share_one_sync() {
    let (_folder, path) = place();
    let (disk, log) = Disk::make(&path, FSYNC);
    *disk.held.lock().unwrap() = true;
    let lines = || fs::read_to_string(&path).unwrap().lines().count();
    std::thread::scope(|scope| {
        scope.spawn(|| log.append(&Event::new(Action::DaemonStart)).unwrap());
        while disk.syncs.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        for _ in 0..8 {
            scope.spawn(|| log.append(&Event::new(Action::PolicyChange)).unwrap());
        }
        while lines() < 9 {
            std::thread::yield_now();
        }
        *disk.held.lock().unwrap() = false;
        disk.freed.notify_all();
    });
    assert_eq!(disk.syncs.load(Ordering::SeqCst), 2, "one for the first, one for the eight that came meanwhile");
    log.flush().unwrap();
    assert_eq!(disk.syncs.load(Ordering::SeqCst), 2, "nothing to sync, no sync");
}

#[test]
fn a_synced_log_goes_on_in_a_new_file_too() {
    let (folder, path) = place();
    let (log, _) = AuditLog::open(&path, FSYNC, clock()).unwrap();
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    fs::rename(&path, folder.path().join("audit.log.1")).unwrap();
    log.flush().unwrap();
    log.append(&Event::new(Action::DaemonStop)).unwrap();
    assert_eq!(actions(&path), ["log_continued", "daemon_stop"]);
    assert!(verify(&path).unwrap().is_whole());
}

fn rolling(settings: Settings) -> Settings {
    Settings { max_size: 1, ..settings }
}

#[test]
fn attack_105_a_full_disk_during_roll_over_leaves_the_log_as_it_was() {
    let (folder, path) = place();
    let (disk, log) = Disk::make(&path, rolling(Settings::default()));
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    disk.create_fails.store(true, Ordering::SeqCst);
    let error = log.roll_over_if_due().unwrap_err().to_string();
    assert!(error.contains("cannot roll over the audit log") && error.contains("No space left"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the file has its name back");
    log.append(&Event::new(Action::PolicyChange)).unwrap();
    log.flush().unwrap();
    assert!(log.is_healthy(), "requests are recorded all the same");
    disk.create_fails.store(false, Ordering::SeqCst);
    assert_eq!(log.roll_over_if_due().unwrap(), RollOver::Done);
    assert_eq!(actions(&path), ["daemon_start", "policy_change", "log_continued"]);
    assert!(verify(&path).unwrap().is_whole());
}

#[test]
fn attack_105_a_disk_that_is_full_after_roll_over_refuses_until_the_first_line_is_written() {
    let (_folder, path) = place();
    let (disk, log) = Disk::make(&path, rolling(Settings::default()));
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    disk.leave(10);
    assert!(log.roll_over_if_due().is_err());
    assert!(log.append(&begun(RequestId::next())).is_err());
    assert!(!log.is_healthy());
    assert_eq!(path.metadata().unwrap().len(), 0, "no half line");
    assert!(verify(&path).unwrap().is_whole());
    disk.leave(u64::MAX);
    log.append(&Event::new(Action::PolicyChange)).unwrap();
    assert_eq!(actions(&path), ["daemon_start", "log_continued", "policy_change", "audit_recovered"]);
    let verified = verify(&path).unwrap();
    assert_eq!((verified.first_break, verified.files, verified.head), (None, 2, Some(log.head())));
}

#[test]
fn a_synced_log_is_rolled_over_on_the_disk_or_not_at_all() {
    let (_folder, path) = place();
    let (disk, log) = Disk::make(&path, rolling(FSYNC));
    log.append(&Event::new(Action::DaemonStart)).unwrap();
    log.append_lazily(&Event::new(Action::PolicyReload));
    disk.sync_fails.store(true, Ordering::SeqCst);
    assert!(log.roll_over_if_due().is_err(), "what waited is not on the disk");
    assert_eq!(actions(&path), ["daemon_start"]);
    disk.sync_fails.store(false, Ordering::SeqCst);
    assert_eq!(log.roll_over_if_due().unwrap(), RollOver::Done);
    log.append(&Event::new(Action::DaemonStop)).unwrap();
    assert_eq!(actions(&path), ["daemon_start", "policy_reload", "log_continued", "daemon_stop"]);
    assert!(verify(&path).unwrap().is_whole());
}
