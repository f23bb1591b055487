//! Everything a worker is told on its link, in the order in which it is to hear it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Stream;
use longshore_proto::v1::{self, to_worker};
use tokio::sync::mpsc;

use super::sessions::{Urgencies, Urgent};
use crate::error::Error;

/// What a worker is told: orders in their order, and before those that have not left whatever is urgent. The first of all is
/// the welcome.
pub struct Told {
    orders: mpsc::Receiver<Result<v1::ToWorker, Error>>,
    urgent: Urgencies,
    begun: bool,
}

impl Told {
    /// All of both.
    pub fn new(orders: mpsc::Receiver<Result<v1::ToWorker, Error>>, urgent: Urgencies) -> Self {
        Self { orders, urgent, begun: false }
    }
}

impl Stream for Told {
    type Item = Result<v1::ToWorker, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let told = &mut *self;
        if told.begun
            && let Poll::Ready(Some(urgent)) = told.urgent.poll_recv(cx)
        {
            return Poll::Ready(Some(Ok(message(urgent))));
        }
        let order = told.orders.poll_recv(cx);
        if !told.begun && order.is_ready() {
            told.begun = true;
        }
        order
    }
}

fn message(urgent: Urgent) -> v1::ToWorker {
    let message = match urgent {
        Urgent::Answer(number) => to_worker::Message::Answer(v1::HeartbeatAnswer { number }),
        Urgent::Ping(number) => to_worker::Message::Ping(v1::Ping { number }),
    };
    v1::ToWorker { message: Some(message) }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_urgent_comes_first_but_behind_the_welcome() {
        let ((give, orders), (urge, urgent)) = (mpsc::channel(4), mpsc::channel(4));
        let mut told = Told::new(orders, urgent);
        urge.send(Urgent::Answer(1)).await.unwrap();
        let order = |message| Ok(v1::ToWorker { message: Some(message) });
        give.send(order(to_worker::Message::Welcome(v1::Welcome::default()))).await.unwrap();
        give.send(order(to_worker::Message::Settled(v1::Settled::default()))).await.unwrap();
        urge.send(Urgent::Ping(2)).await.unwrap();
        drop(give);
        let mut heard = Vec::new();
        while let Some(said) = told.next().await {
            heard.push(said.unwrap().message.unwrap());
        }
        use to_worker::Message::{Answer, Ping, Settled, Welcome};
        let [Welcome(_), Answer(v1::HeartbeatAnswer { number: 1 }), Ping(v1::Ping { number: 2 }), Settled(_)] =
            heard[..]
        else {
            panic!("{heard:?}");
        };
    }
}
