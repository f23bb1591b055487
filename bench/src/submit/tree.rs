//! Trees of files to submit.

use std::{fs, io, path::Path};

/// Files in a directory of the tree.
const IN_A_DIRECTORY: usize = 1_000;

/// Makes `files` files of 200 to 4,300 bytes in directories of a thousand, each content `times` times; returns their
/// bytes in all.
pub fn small(root: &Path, files: usize, times: usize) -> io::Result<u64> {
    let mut all = 0;
    for at in 0..files {
        let dir = root.join(format!("{:03}", at / IN_A_DIRECTORY));
        if at % IN_A_DIRECTORY == 0 {
            fs::create_dir_all(&dir)?;
        }
        let content = at / times;
        let text = text(content, 200 + content * 7_919 % 4_100);
        fs::write(dir.join(format!("file-{at:06}.txt")), &text)?;
        all += text.len() as u64;
    }
    Ok(all)
}

/// Makes `files` files of `bytes` each; returns their bytes in all.
pub fn large(root: &Path, files: usize, bytes: usize) -> io::Result<u64> {
    fs::create_dir_all(root)?;
    for at in 0..files {
        fs::write(root.join(format!("file-{at:03}.bin")), text(at, bytes))?;
    }
    Ok((files * bytes) as u64)
}

/// So many bytes that no other number gives.
fn text(number: usize, bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 32);
    let mut line = 0;
    while text.len() < bytes {
        text.extend_from_slice(format!("{number} line {line}\n").as_bytes());
        line += 1;
    }
    text.truncate(bytes);
    text
}
