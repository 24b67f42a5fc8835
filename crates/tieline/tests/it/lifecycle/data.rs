//! The application's value that is kept with a connection.

use std::sync::Arc;

use tieline::{Config, Connection};

use crate::kit::{Server, eventually, run};

#[test]
fn data_is_found_wherever_the_connection_is() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&user=u&groups=g&data=Alice").await;
        let _without = server.raw("id=b&groups=g").await;
        let hub = &server.hub;
        let name = server.connection("a").data::<String>().unwrap();
        assert_eq!(*name, "Alice");
        let everywhere = [hub.members("g"), hub.user("u"), hub.connections()];
        for found in everywhere {
            let names = found.iter().filter_map(Connection::data::<String>);
            let names: Vec<_> = names.collect();
            assert!(matches!(&names[..], [one] if Arc::ptr_eq(one, &name)));
        }
        assert_eq!(server.connection("a").data::<u32>(), None, "not its type");
        // What else is kept beside it comes and goes.
        let connection = server.connection("a");
        assert_eq!(connection.ready().await, Ok(()));
        client.send_close(1000).await;
        connection.closed().await;
        eventually(|| server.hub.len() == 1).await;
        assert_eq!(*connection.data::<String>().unwrap(), "Alice");
    });
}

#[test]
fn data_ends_with_the_last_handle_of_its_connection() {
    run(async {
        let server = Server::start(Config::default()).await;
        let mut client = server.raw("id=a&data=Alice").await;
        let data = Arc::downgrade(&server.connection("a").data::<String>().unwrap());
        assert!(data.upgrade().is_some());
        client.send_close(1000).await;
        client.closed().await;
        eventually(|| data.upgrade().is_none()).await;
        server.empty().await;
    });
}
