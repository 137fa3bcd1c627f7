//! Opening and closing the services' ports, at the start and on a reload.
//!
//! Responsible for bringing what listens in line with what the configuration asks for. A port that stays is never
//! closed in between; an established connection keeps the session that it has. Ports that two services want are found
//! when the configuration is checked, before anything is changed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tapster_service::{Endpoint, Service, Transport};
use tapster_stack::{Host, Instant, ListenerId, SocketId, tcp};

use super::datagram::Ports;
use super::deadlines::Deadline;
use super::{Datagrams, Listener, RunningModule, Services};

/// A module's service, ready to run.
#[derive(Debug)]
pub(crate) struct NamedService {
    /// The module's name.
    pub(crate) module: &'static str,
    /// What it built.
    pub(crate) service: Service,
}

/// A port that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{module}: {transport:?} port {port} is in use by another service", port = endpoint.port)]
pub(crate) struct ListenFailure {
    module: &'static str,
    transport: Transport,
    endpoint: Endpoint,
}

impl Services {
    /// Makes `wanted` the services that run. What is no longer wanted stops listening; its connections live on.
    ///
    /// # Errors
    /// [`ListenFailure`] when a port cannot be opened, which [`clashes`] has ruled out.
    pub(crate) fn install(&mut self, host: &mut Host, wanted: Vec<NamedService>) -> Result<(), ListenFailure> {
        for module in &mut self.modules {
            module.configured = false;
        }
        let mut old_listeners: HashMap<Endpoint, (ListenerId, Listener)> =
            self.listeners.drain().map(|(id, listener)| (listener.endpoint, (id, listener))).collect();
        let mut old_sockets = self.release_configured_sockets();
        for NamedService { module: name, service } in wanted {
            let module = self.configured_module(name, service.summary);
            for binding in service.streams {
                let listener = Listener {
                    module,
                    endpoint: binding.endpoint,
                    maximum_connections: binding.maximum_connections,
                    service: binding.service,
                };
                let kept = old_listeners
                    .remove(&binding.endpoint)
                    .filter(|(_, old)| old.maximum_connections == binding.maximum_connections);
                let id = match kept {
                    Some((id, _)) => id,
                    None => self.listen(host, name, &listener)?,
                };
                self.listeners.insert(id, listener);
            }
            for binding in service.datagrams {
                let index = self.datagrams.insert(Datagrams {
                    module,
                    service: binding.service,
                    ports: Ports::default(),
                    deadline: Deadline::default(),
                });
                for endpoint in binding.endpoints {
                    let socket = match old_sockets.remove(&endpoint) {
                        Some(socket) => socket,
                        None => host.bind(endpoint.address, endpoint.port).map_err(|_| ListenFailure {
                            module: name,
                            transport: Transport::Udp,
                            endpoint,
                        })?,
                    };
                    self.datagrams[index].ports.configured.insert(endpoint, socket);
                    self.sockets.insert(socket, index);
                }
                let slot = &mut self.datagrams[index];
                self.deadlines.set(super::Owner::Datagrams(index), &mut slot.deadline, slot.service.next_deadline());
            }
        }
        for (id, _) in old_listeners.into_values() {
            host.unlisten(id);
        }
        for socket in old_sockets.into_values() {
            host.unbind(socket);
        }
        Ok(())
    }

    /// Listens on another host as on the old one, and opens the same UDP ports there. Sessions stay behind: see
    /// [`end_sessions`](Self::end_sessions).
    ///
    /// # Errors
    /// [`ListenFailure`] when a port cannot be opened, which cannot be on a host that has none open yet.
    pub(crate) fn move_to(&mut self, host: &mut Host, old: &Host, now: Instant) -> Result<(), ListenFailure> {
        let mut listeners = HashMap::new();
        for listener in self.listeners.values() {
            let id = self.listen(host, self.modules[listener.module].name, listener)?;
            listeners.insert(id, listener.endpoint);
        }
        let mut by_endpoint: HashMap<_, _> = self.listeners.drain().map(|(_, entry)| (entry.endpoint, entry)).collect();
        let moved = listeners.into_iter().filter_map(|(id, endpoint)| Some((id, by_endpoint.remove(&endpoint)?)));
        self.listeners = moved.collect();
        let mut sockets = HashMap::new();
        for row in old.sockets() {
            let Some(&index) = self.sockets.get(&row.id) else { continue };
            let socket = host.bind(row.address, row.port).map_err(|_| ListenFailure {
                module: self.modules[self.datagrams[index].module].name,
                transport: Transport::Udp,
                endpoint: Endpoint { address: row.address, port: row.port },
            })?;
            sockets.insert(row.id, (socket, index));
        }
        for (_, slot) in &mut self.datagrams {
            let Ports { configured, opened, .. } = &mut slot.ports;
            for id in configured.values_mut().chain(opened.values_mut()) {
                *id = sockets.get(id).map_or(*id, |&(socket, _)| socket);
            }
        }
        self.sockets = sockets.into_values().collect();
        for row in old.groups() {
            for _ in 0..row.members {
                if let Err(error) = host.join(now, row.group) {
                    tracing::warn!(group = %row.group, %error, "a multicast group was lost by the reset");
                }
            }
        }
        Ok(())
    }

    /// Stops listening for connections.
    pub(crate) fn stop_listening(&mut self, host: &mut Host) {
        for (id, _) in self.listeners.drain() {
            host.unlisten(id);
        }
    }

    fn listen(&self, host: &mut Host, module: &'static str, listener: &Listener) -> Result<ListenerId, ListenFailure> {
        let Endpoint { address, port } = listener.endpoint;
        let options =
            tcp::ListenOptions { maximum_connections: listener.maximum_connections, ..tcp::ListenOptions::default() };
        host.listen(address, port, options).map_err(|_| ListenFailure {
            module,
            transport: Transport::Tcp,
            endpoint: listener.endpoint,
        })
    }

    /// The place of a module in the table, made when it is new.
    fn configured_module(&mut self, name: &'static str, summary: Vec<String>) -> usize {
        if let Some(index) = self.modules.iter().position(|module| module.name == name) {
            self.modules[index].summary = summary;
            self.modules[index].configured = true;
            return index;
        }
        self.modules.push(RunningModule { name, summary, sessions: 0, accepted: 0, configured: true });
        self.modules.len() - 1
    }

    /// Takes the configured ports from all datagram services. A service that has opened ports of its own keeps them, and
    /// lives until it has closed them: a transfer that is under way goes on.
    fn release_configured_sockets(&mut self) -> HashMap<Endpoint, SocketId> {
        let mut released = HashMap::new();
        for (_, slot) in &mut self.datagrams {
            released.extend(slot.ports.configured.drain());
        }
        self.sockets.retain(|socket, _| !released.values().any(|other| other == socket));
        let indices: Vec<_> = self.datagrams.iter().map(|(index, _)| index).collect();
        for index in indices {
            self.remove_if_retired(index);
        }
        released
    }

    /// Drops a datagram service that has no port any more.
    pub(super) fn remove_if_retired(&mut self, index: usize) {
        let ports = self.datagrams.get(index).map(|slot| &slot.ports);
        if ports.is_some_and(|ports| ports.configured.is_empty() && ports.opened.is_empty()) {
            self.datagrams.remove(index);
        }
    }
}

/// A port that two services want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clash {
    /// The module that comes second, and so does not get it.
    pub(crate) module: &'static str,
    /// The module that has it.
    pub(crate) holder: &'static str,
    pub(crate) transport: Transport,
    pub(crate) endpoint: Endpoint,
}

/// The ports that two services want.
pub(crate) fn clashes(wanted: &[NamedService]) -> Vec<Clash> {
    let mut holders: HashMap<(Transport, Endpoint), &'static str> = HashMap::new();
    let mut clashes = Vec::new();
    for &NamedService { module, ref service } in wanted {
        let streams = service.streams.iter().map(|binding| (Transport::Tcp, binding.endpoint));
        let datagrams = service.datagrams.iter().flat_map(|binding| &binding.endpoints);
        for (transport, endpoint) in streams.chain(datagrams.map(|endpoint| (Transport::Udp, *endpoint))) {
            match holders.entry((transport, endpoint)) {
                Entry::Occupied(holder) => {
                    clashes.push(Clash { module, holder: holder.get(), transport, endpoint });
                }
                Entry::Vacant(place) => {
                    place.insert(module);
                }
            }
        }
    }
    clashes
}
