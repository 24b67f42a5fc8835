//! Compiles the protocol definitions; `protox` reads them, so that no `protoc` is needed.

fn main() {
    #[cfg(feature = "cluster")]
    cluster::compile();
}

#[cfg(feature = "cluster")]
mod cluster {
    use std::{env, fs, path::PathBuf};

    use protox::prost::Message;

    pub(super) fn compile() {
        println!("cargo::rerun-if-changed=proto");
        let descriptors = protox::compile(["proto/websocket.proto", "proto/link.proto"], ["proto"])
            .expect("the definitions are valid");
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
        // For gRPC reflection.
        fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())
            .expect("OUT_DIR is writable");
        tonic_prost_build::configure()
            .bytes(".")
            .compile_fds(descriptors)
            .expect("the definitions compile");
    }
}
