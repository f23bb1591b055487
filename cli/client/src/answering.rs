//! An answer that is read as it comes.

use std::time::Duration;

use bytes::Bytes;
use longshore_proto::v1::{Answer, AnswerHead, AnswerPiece, QueryResponse, answer_piece::Piece, query_response};
use tonic::{Status, Streaming};

use crate::{CallError, Client};

/// An answer under way. It is one only once [`Answering::next`] has given its end.
#[derive(Debug)]
pub struct Answering {
    client: Client,
    doing: String,
    head: AnswerHead,
    cut: Option<Duration>,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Coming(Box<Streaming<AnswerPiece>>),
    Here(Option<Bytes>, Option<QueryResponse>),
}

/// What comes next of an answer.
#[derive(Debug)]
pub enum Next {
    /// A piece of its body.
    Data(Bytes),
    /// Its end: all but the body, typed by its completeness.
    End(QueryResponse),
}

impl Answering {
    pub(crate) async fn begun(
        client: Client,
        doing: String,
        (mut stream, cut): (Streaming<AnswerPiece>, Option<Duration>),
    ) -> Result<Self, CallError> {
        match stream.message().await {
            Ok(Some(AnswerPiece { piece: Some(Piece::Head(head)) })) => {
                Ok(Self { client, doing, head, cut, rest: Rest::Coming(Box::new(stream)) })
            }
            Ok(_) => Err(client.failed(&doing, broken_off())),
            Err(status) => Err(client.failed(&doing, status)),
        }
    }

    /// An answer that is here already.
    pub(crate) fn whole(client: Client, doing: String, mut answered: QueryResponse) -> Self {
        let complete = matches!(answered.answer, Some(query_response::Answer::Complete(_)));
        let body = answered.answer.as_mut().map(|answer| std::mem::take(&mut inside(answer).body));
        let answer = answered.answer.clone().map(|mut answer| std::mem::take(inside(&mut answer))).unwrap_or_default();
        let size = body.as_ref().map_or(0, |body| body.len() as u64);
        let head = AnswerHead { coverage: answer.coverage, complete, head: answer.head, size };
        Self { client, doing, head, cut: None, rest: Rest::Here(body, Some(answered)) }
    }

    /// How complete it is, and what is said of its bytes.
    #[must_use]
    pub fn head(&self) -> &AnswerHead {
        &self.head
    }

    /// The time the query was given, where that is less than was asked for.
    #[must_use]
    pub fn cut(&self) -> Option<Duration> {
        self.cut
    }

    /// The next piece; the end is the last.
    ///
    /// # Errors
    /// When the answer breaks off.
    pub async fn next(&mut self) -> Result<Next, CallError> {
        let stream = match &mut self.rest {
            Rest::Coming(stream) => stream,
            Rest::Here(body, end) => {
                let next = body.take().map(Next::Data).or_else(|| end.take().map(Next::End));
                return next.ok_or_else(|| self.client.failed(&self.doing, broken_off()));
            }
        };
        match stream.message().await {
            Ok(Some(AnswerPiece { piece: Some(Piece::Data(data)) })) => Ok(Next::Data(data)),
            Ok(Some(AnswerPiece { piece: Some(Piece::End(end)) })) => Ok(Next::End(end)),
            Ok(_) => Err(self.client.failed(&self.doing, broken_off())),
            Err(status) => Err(self.client.failed(&self.doing, status)),
        }
    }
}

fn inside(answer: &mut query_response::Answer) -> &mut Answer {
    match answer {
        query_response::Answer::Complete(answer) | query_response::Answer::Partial(answer) => answer,
    }
}

fn broken_off() -> Status {
    Status::data_loss("the answer broke off before its end")
}
