//! One command, one file: the question that a command line asks, and what the answer looks like.

pub mod ablate;
pub mod attack;
mod attack_minimal;
mod attack_several;
pub mod attention;
pub mod audit;
pub mod benchmark;
pub mod card;
pub mod compare;
pub mod completions;
pub mod configs;
pub mod corrupt;
pub mod data;
pub mod evaluate;
pub mod excavate;
pub mod explain;
pub mod export;
pub mod features;
pub mod figure;
pub mod init;
pub mod lab;
pub mod lesson;
pub mod man;
pub mod merge;
pub mod models;
pub mod profile;
pub mod prompts;
pub mod report;
pub mod study;
pub mod submit;
pub mod track;
pub mod train;
pub mod verify;

mod trust;
