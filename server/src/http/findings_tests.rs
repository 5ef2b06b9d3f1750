//! What a run found wrong, as the API tells it.

use serde_json::{Value, json};

use super::testing::{TestApp, small_sweep};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_found_wrong_is_told_with_its_job_and_its_dictionary() {
    let app = TestApp::new().await;
    let (model, corpus) = app.with_model_and_text().await;
    let mut sweep = small_sweep(&model, &corpus);
    let spoilt = json!({"coefficient": "0.01", "objectives": ["local"], "lr": "10"});
    sweep.as_object_mut().unwrap().extend(spoilt.as_object().unwrap().clone());
    let (_, started) = app.post("/api/sweeps", sweep).await;
    let id = started["jobs"][0].as_i64().unwrap();
    let workers = app.work();
    let job = app.ended(id).await;
    workers.stop().await;
    assert_eq!(job["state"], "done", "{job}");

    let found = job["findings"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{job}");
    assert_eq!(found[0]["dictionary"], job["dictionaries"][0]);
    let has = |found: &Value, name: &str| found.as_array().unwrap().iter().any(|each| each["finding"] == name);
    assert!(has(&found[0]["findings"], "explained_variance"), "{job}");
    let (_, dictionary) = app.get(&format!("/api/dictionaries/{}", found[0]["dictionary"])).await;
    assert_eq!(dictionary["findings"], found[0]["findings"]);

    // what an earlier program kept has none, and is read as before
    let mut bare = dictionary.clone();
    bare.as_object_mut().unwrap().remove("findings");
    assert!(
        serde_json::from_value::<api::DictionaryInfo>(bare)
            .unwrap()
            .findings
            .is_empty()
    );
    let mut bare = job.clone();
    bare.as_object_mut().unwrap().remove("findings");
    assert!(serde_json::from_value::<api::Job>(bare).unwrap().findings.is_empty());
}
