//! Compiles the protocol definitions; `protox` reads them, so that no `protoc` is needed.

fn main() {
    #[cfg(feature = "cluster")]
    cluster::compile();
}

#[cfg(feature = "cluster")]
mod cluster {
    use std::{env, fs, path::PathBuf};

    use protox::{prost::Message, prost_reflect::prost_types::FileDescriptorSet};

    pub(super) fn compile() {
        println!("cargo::rerun-if-changed=proto");
        let own = read(&["proto/websocket.proto", "proto/link.proto"]);
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
        // For gRPC reflection.
        fs::write(out.join("descriptors.bin"), own.encode_to_vec()).expect("OUT_DIR is writable");
        generate(own);
        if env::var_os("CARGO_FEATURE_ETCD").is_some() {
            generate(read(&["proto/etcd.proto"]));
        }
    }

    fn read(files: &[&str]) -> FileDescriptorSet {
        protox::compile(files, ["proto"]).expect("the definitions are valid")
    }

    fn generate(descriptors: FileDescriptorSet) {
        tonic_prost_build::configure()
            .bytes(".")
            .compile_fds(descriptors)
            .expect("the definitions compile");
    }
}
