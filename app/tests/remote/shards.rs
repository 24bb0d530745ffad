//! Shards of pictures of one colour, in three classes.

use std::ops::Range;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

/// Sides of a picture.
const SIDE: usize = 16;

/// A picture that no other number gives, as PPM.
fn picture(number: usize) -> Vec<u8> {
    let mut bytes = format!("P6\n{SIDE} {SIDE}\n255\n").into_bytes();
    bytes.extend((0..SIDE * SIDE).flat_map(|i| [(number * 13) as u8, (i * (number + 3)) as u8, i as u8]));
    bytes
}

/// A tar archive of pictures in the layout of webdataset; a picture's class is its number modulo 3.
pub fn shard(numbers: Range<usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in numbers {
        member(&mut bytes, &format!("{number:06}.cls"), (number % 3).to_string().as_bytes());
        member(&mut bytes, &format!("{number:06}.ppm"), &picture(number));
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A member of a tar archive (POSIX ustar).
fn member(archive: &mut Vec<u8>, name: &str, contents: &[u8]) {
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(124, &format!("{:011o}\0", contents.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend(header);
    archive.extend(contents);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

/// The same pictures as a parquet file.
pub fn parquet(numbers: Range<usize>) -> Vec<u8> {
    let schema = "message schema { required binary image; required int64 label; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).expect("a schema"));
    let mut bytes = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::builder().build()))
            .expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let images: Vec<ByteArray> = numbers.clone().map(|number| ByteArray::from(picture(number))).collect();
    let mut column = group.next_column().expect("ok").expect("a column");
    column.typed::<ByteArrayType>().write_batch(&images, None, None).expect("images");
    column.close().expect("closed");
    let labels: Vec<i64> = numbers.map(|number| (number % 3) as i64).collect();
    let mut column = group.next_column().expect("ok").expect("a column");
    column.typed::<Int64Type>().write_batch(&labels, None, None).expect("labels");
    column.close().expect("closed");
    group.close().expect("closed");
    writer.close().expect("closed");
    bytes
}
