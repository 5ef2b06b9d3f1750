//! Small files that ask for much: each is refused before the memory is taken, by what the file can hold.

use engine::exchange::{Choice, pack, read};
use std::{fs, path::PathBuf};

struct Made {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(name: &str, bytes: &[u8]) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    Made { _folder: folder, path }
}

fn error_of(made: &Made) -> String {
    read(&made.path, &Choice::default()).map(|_| ()).unwrap_err().to_string()
}

fn torch_file(pickle: &[u8], storages: &[&[u8]]) -> Made {
    let mut files = vec![("archive/data.pkl".to_owned(), pickle.to_vec())];
    let storage = |(key, bytes): (usize, &&[u8])| (format!("archive/data/{key}"), bytes.to_vec());
    files.extend(storages.iter().enumerate().map(storage));
    file("one.pt", &pack(&files).unwrap())
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn int(n: u32) -> Vec<u8> {
    [b"J", &n.to_le_bytes()[..]].concat()
}

/// A list of 2,000 pairs, of which 2,000 calls ask for a dictionary each.
#[test]
fn a_pickle_that_has_a_list_copied_by_calls() {
    let mut pickle = b"\x80\x02ccollections\nOrderedDict\nq\x00".to_vec();
    // a pair, and the arguments: a tuple of a list of the same pair again and again
    pickle.extend(b"K\x01K\x02\x86q\x01(");
    pickle.extend(b"h\x01".repeat(2000));
    pickle.extend(b"l\x85q\x02");
    pickle.extend(b"h\x00h\x02R".repeat(2000));
    pickle.push(b'.');
    let error = error_of(&torch_file(&pickle, &[]));
    assert!(error.contains("copied beyond 16 times its length"), "{error}");
}

#[test]
fn a_pickle_that_makes_objects_of_a_large_dictionary() {
    // classes are given the same attributes again and again
    let mut pickle = b"\x80\x02cautoencoders.learned_dict\nTiedSAE\nq\x00}q\x01(".to_vec();
    pickle.extend(b"K\x01K\x02".repeat(2000));
    pickle.push(b'u');
    pickle.extend(b"h\x00)Rh\x01b".repeat(2000));
    pickle.push(b'.');
    let error = error_of(&torch_file(&pickle, &[]));
    assert!(error.contains("copied beyond 16 times its length"), "{error}");
}

#[test]
fn a_pickle_of_a_million_values() {
    let error = error_of(&torch_file(&b"N".repeat(1 << 20), &[]));
    assert!(error.contains("makes more than 1048576 values"), "{error}");
}

/// The entry of a state dict that is `n` numbers of the first storage, which has `stored`.
fn tensor(name: &str, n: u32, stored: u32) -> Vec<u8> {
    let parts = [
        text(name),
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        int(stored),
        b"tQK\x00(".to_vec(),
        int(n),
        b"t(K\x01t\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ];
    parts.concat()
}

fn sharing(n_tensors: usize, numbers: u32) -> Made {
    let stored = 50_000;
    let mut pickle = b"\x80\x02}(".to_vec();
    (0..n_tensors).for_each(|i| pickle.extend(tensor(&format!("t{i}"), numbers, stored)));
    pickle.extend(b"u.");
    torch_file(&pickle, &[&vec![0; 4 * stored as usize]])
}

#[test]
fn a_torch_file_of_64_tensors_on_one_storage() {
    let error = error_of(&sharing(64, 50_000));
    assert!(
        error.contains("4 times what the file holds") && error.contains("with 't3'"),
        "{error}"
    );
    // parts of one storage are no more than it, and tied tensors are a few times it
    for fine in [sharing(64, 700), sharing(2, 50_000)] {
        let error = error_of(&fine);
        assert!(error.contains("holds the tensors t0, "), "{error}");
    }
}

/// An archive of `n` entries, all of which the list says to be where the first is.
fn piled(n: usize) -> Vec<u8> {
    let mut npy = b"\x93NUMPY\x01\x00v\x00".to_vec();
    npy.extend(format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (1000,), }").bytes());
    npy.extend([0; 4000]);
    let files: Vec<_> = (0..n).map(|i| (format!("t{i:02}.npy"), npy.clone())).collect();
    let mut bytes = pack(&files).unwrap();
    let list = bytes.windows(4).position(|four| four == [0x50, 0x4b, 1, 2]).unwrap();
    for record in bytes[list..]
        .windows(4)
        .enumerate()
        .filter(|(_, four)| *four == [0x50, 0x4b, 1, 2])
        .map(|(i, _)| i)
        .collect::<Vec<_>>()
    {
        bytes[list + record + 42..list + record + 46].fill(0);
    }
    bytes
}

#[test]
fn an_npz_with_60_names_on_one_entry() {
    let error = error_of(&file("params.npz", &piled(60)));
    assert!(
        error.contains("its entries 't00.npy' and 't01.npy' lie on one another"),
        "{error}"
    );
}

/// Zeros pack a thousand times: entries that are possible one by one come to more than weights do.
#[test]
fn an_archive_that_unpacks_to_much_more_than_it_is() {
    use flate2::{Compression, Crc, write::DeflateEncoder};
    use std::io::Write as _;
    let zeros = vec![0; 40 << 20];
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&zeros).unwrap();
    let packed = encoder.finish().unwrap();
    let mut crc = Crc::new();
    crc.update(&zeros);
    let files: Vec<_> = (0..3).map(|i| (format!("t{i}.npy"), packed.clone())).collect();
    let mut bytes = pack(&files).unwrap();
    // say that the stored bytes are deflated ones of so many zeros
    let list = bytes.windows(4).rposition(|four| four == [0x50, 0x4b, 3, 4]).unwrap();
    for at in list..bytes.len() - 4 {
        if bytes[at..at + 4] == [0x50, 0x4b, 1, 2] {
            bytes[at + 10..at + 12].copy_from_slice(&8u16.to_le_bytes());
            bytes[at + 16..at + 20].copy_from_slice(&crc.sum().to_le_bytes());
            bytes[at + 24..at + 28].copy_from_slice(&(zeros.len() as u32).to_le_bytes());
        }
    }
    let error = error_of(&file("params.npz", &bytes));
    assert!(error.contains("its entries come to 125829120 bytes"), "{error}");
}
