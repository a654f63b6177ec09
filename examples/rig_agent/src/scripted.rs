//! A model that says what it was told to say, so that nothing leaves this process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use rig::OneOrMany;
use rig::completion::{
    AssistantContent, CompletionError, CompletionModel, CompletionRequest, CompletionResponse,
    Usage,
};
use rig::streaming::StreamingCompletionResponse;

#[derive(Clone)]
pub struct Scripted {
    script: Arc<Mutex<VecDeque<AssistantContent>>>,
    /// What it was asked, for looking at.
    pub asked: Arc<Mutex<Vec<CompletionRequest>>>,
}

impl Scripted {
    pub fn new(script: impl IntoIterator<Item = AssistantContent>) -> Self {
        Self {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            asked: Arc::default(),
        }
    }
}

impl CompletionModel for Scripted {
    type Response = ();
    type StreamingResponse = ();
    type Client = Self;

    fn make(client: &Self, _model: impl Into<String>) -> Self {
        client.clone()
    }

    async fn completion(
        &self,
        request: CompletionRequest,
    ) -> Result<CompletionResponse<()>, CompletionError> {
        self.asked.lock().unwrap().push(request);
        let next = self.script.lock().unwrap().pop_front();
        let next = next.ok_or_else(|| CompletionError::ProviderError("the script is over".into()));
        Ok(CompletionResponse {
            choice: OneOrMany::one(next?),
            usage: Usage::new(),
            raw_response: (),
            message_id: None,
        })
    }

    async fn stream(
        &self,
        _request: CompletionRequest,
    ) -> Result<StreamingCompletionResponse<()>, CompletionError> {
        Err(CompletionError::ProviderError("it does not stream".into()))
    }
}
