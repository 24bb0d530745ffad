use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::*;

const GIB: u64 = 1 << 30;

fn of(total: u64) -> &'static Memory {
    Box::leak(Box::new(Memory::new(total)))
}

#[test]
fn the_parts_make_up_the_whole() {
    // Of 2 GiB, a quarter GiB is the program's and half a GiB is for pictures that are kept.
    assert_eq!(files(2 * GIB), 5 * GIB / 4);
    assert_eq!(of(2 * GIB).for_pictures(), GIB / 2);
    assert_eq!(of(512 << 20).for_pictures() + files(512 << 20) + (64 << 20), 512 << 20);
    assert_eq!(files(8 * GIB), 8 * GIB - 3 * GIB / 4);
}

#[test]
fn threads_together_take_no_more_than_there_is() {
    let memory = of(2 * GIB);
    let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let room = memory.pass(GIB / 2).unwrap();
                    most.fetch_max(
                        now.fetch_add(room.bytes(), Ordering::SeqCst) + room.bytes(),
                        Ordering::SeqCst,
                    );
                    thread::yield_now();
                    now.fetch_sub(room.bytes(), Ordering::SeqCst);
                    drop(room);
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= files(2 * GIB));
    assert_eq!(memory.left(), files(2 * GIB));
}

#[test]
fn what_can_never_fit_is_refused_with_a_size_that_would_do() {
    let memory = of(2 * GIB);
    let refused = memory.pass(3 * GIB).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "it needs 3.0 GiB of memory, more than the 1.2 GiB that are left for what files hold; if it is what it should be, allow \
         it with --memory 4GiB"
    );
    memory.allow(4 * GIB);
    assert!(memory.pass(3 * GIB).is_ok());
    // Of what no machine has, no size is named.
    assert!(!memory.pass(u64::MAX).unwrap_err().to_string().contains("--memory"));
}

#[test]
fn a_thread_that_waits_is_refused_once_it_can_no_longer_fit() {
    let memory = of(2 * GIB);
    let first = memory.pass(GIB).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| memory.pass(GIB).map(|room| room.bytes()));
        let mut budget = Budget::within(memory, GIB);
        budget.take(1, GIB / 2).unwrap();
        // No transient memory is released meanwhile: without the refusal this would wait for ever.
        assert!(waiting.join().unwrap().is_err());
    });
    drop(first);
}

#[test]
fn room_grows_only_where_nobody_has_to_wait() {
    let memory = of(2 * GIB);
    let mut room = memory.pass(GIB / 4).unwrap();
    let other = memory.pass(GIB / 2).unwrap();
    assert!(!room.grow_to(GIB));
    assert!(room.grow_to(GIB / 2));
    drop(other);
    assert!(room.grow_to(GIB));
    assert_eq!(room.bytes(), GIB);
    drop(room);
    assert_eq!(memory.left(), files(2 * GIB));
}

#[test]
fn a_file_takes_a_multiple_of_its_length() {
    let memory = of(2 * GIB);
    let mut budget = Budget::within(memory, 1 << 20);
    budget.take(100, 1 << 20).unwrap();
    let refused = budget.take(29, 1 << 20).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "it needs 129.0 MiB of memory, more than the 128.0 MiB that a file of 1.0 MiB may take; if it is what it should be, \
         allow it with --memory 2GiB"
    );
    budget.take(28, 1 << 20).unwrap();
    assert_eq!((budget.taken(), budget.left()), (128 << 20, 0));
    // Other files have what this one leaves of the whole.
    assert_eq!(memory.left(), files(2 * GIB) - (128 << 20));
    let mut second = Budget::within(memory, GIB);
    assert!(second.take(1, files(2 * GIB)).unwrap_err().to_string().contains("that are left"));
    drop(budget);
    second.take(1, files(2 * GIB)).unwrap();
    assert!(second.take(u64::MAX, 8).unwrap_err().to_string().contains("than any machine has"));
    second.give_back(GIB);
    assert_eq!(memory.left(), GIB);
}

#[test]
fn what_is_allowed_by_name_does_not_depend_on_the_length() {
    let memory = of(2 * GIB);
    memory.allow(8 * GIB);
    Budget::within(memory, 10).take(1, 7 * GIB).unwrap();
    assert!(Budget::within(memory, 10).take(1, 8 * GIB).is_err());
}

#[test]
fn sizes_are_numbers_with_units() {
    for (text, bytes) in [
        ("4GiB", 4 * GIB),
        ("512MiB", 512 << 20),
        (" 1.5 gib ", 3 * GIB / 2),
        ("2GB", 2_000_000_000),
        ("65536KiB", 64 << 20),
        ("7b", 7),
    ] {
        assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
    }
    for text in ["", "4", "GiB", "-1GiB", "4GiBs", "1e3GiB", "4 GiB 2", "..GiB", "nanGiB", "infGiB", "４GiB"]
    {
        assert!(parse_bytes(text).unwrap_err().contains("such as 4GiB"), "{text}");
    }
    for text in ["99999999999999999999GiB", "18446744073709551615TiB", "1e", "9007199254740993B"] {
        assert!(parse_bytes(text).is_err(), "{text}");
    }
    assert_eq!(bytes_in_words(3 * GIB / 2), "1.5 GiB");
    assert_eq!(bytes_in_words(5), "5 bytes");
}
