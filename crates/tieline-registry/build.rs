//! Compiles the part of etcd's API that is called; `protox` reads it, so that no `protoc` is needed.

fn main() {
    #[cfg(feature = "etcd")]
    etcd::compile();
}

#[cfg(feature = "etcd")]
mod etcd {
    pub(super) fn compile() {
        println!("cargo::rerun-if-changed=proto");
        let descriptors =
            protox::compile(["proto/etcd.proto"], ["proto"]).expect("the definitions are valid");
        tonic_prost_build::configure()
            .bytes(".")
            .compile_fds(descriptors)
            .expect("the definitions compile");
    }
}
