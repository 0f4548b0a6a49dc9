use super::*;

async fn wait(house: &House, n: u8, body: &RequestBody, known: &str, seconds: u64) -> Result<Option<Shown>, Refusal> {
    let caller = house.0.caller(n).await;
    requests::show(&house.0.app, &caller, id(body), Some(known), Duration::from_secs(seconds)).await
}

#[tokio::test]
async fn what_is_known_is_not_said_again() {
    let house = House::new().await;
    let body = house.filed().await;
    let etag = house.look(ANN, &body).await.unwrap().etag;
    assert!(wait(&house, ANN, &body, &etag, 0).await.unwrap().is_none());
    assert!(wait(&house, ANN, &body, "\"0-00000000\"", 60).await.unwrap().is_some(), "answered at once");
    refused(wait(&house, JOE, &body, &etag, 60).await, Code::NotFound);
}

#[tokio::test]
async fn whoever_waits_learns_of_each_step_and_of_the_first_use() {
    let house = Arc::new(House::new().await);
    let body = house.filed().await;
    for turn in 0..3 {
        let etag = house.look(ANN, &body).await.unwrap().etag;
        let waiter = tokio::spawn({
            let (house, body, etag) = (Arc::clone(&house), body.clone(), etag.clone());
            async move { wait(&house, if turn == 2 { LEA } else { ANN }, &body, &etag, 60).await }
        });
        tokio::task::yield_now().await;
        match turn {
            0 => drop(house.approve(LEA, &body).await.unwrap()),
            1 => drop(house.approve(SAM, &body).await.unwrap()),
            _ => drop(house.issue(ANN, "root@web-1").await.unwrap()),
        }
        let told = waiter.await.unwrap().unwrap().unwrap();
        assert_ne!(told.etag, etag);
        assert_eq!(told.body.version, turn + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_its_time_is_up_and_when_the_clock_changes_the_stage() {
    let house = Arc::new(House::new().await);
    let body = house.filed().await;
    let etag = house.look(ANN, &body).await.unwrap().etag;
    let begun = tokio::time::Instant::now();
    assert!(wait(&house, ANN, &body, &etag, 3_600).await.unwrap().is_none());
    assert_eq!(begun.elapsed().as_secs(), 60, "never longer");

    house.approve(LEA, &body).await.unwrap();
    house.approve(SAM, &body).await.unwrap();
    house.pass(3_590);
    let etag = house.look(ANN, &body).await.unwrap().etag;
    let waiter = tokio::spawn({
        let (house, body) = (Arc::clone(&house), body.clone());
        async move { wait(&house, ANN, &body, &etag, 60).await }
    });
    #[expect(clippy::disallowed_methods, reason = "the clock is paused: this moves it")]
    tokio::time::sleep(Duration::from_secs(5)).await;
    house.pass(10);
    let told = waiter.await.unwrap().unwrap().unwrap();
    assert!(is_over(&told.body.stage, Over::Unclaimed));
}

#[tokio::test]
async fn who_is_logged_out_meanwhile_learns_nothing_more() {
    let house = Arc::new(House::new().await);
    let body = house.filed().await;
    let etag = house.look(ANN, &body).await.unwrap().etag;
    let waiter = tokio::spawn({
        let (house, body) = (Arc::clone(&house), body.clone());
        async move { wait(&house, ANN, &body, &etag, 60).await }
    });
    tokio::task::yield_now().await;
    let session = policy::SessionId::from_random([ANN; 12]);
    house.0.app.store.end_session(&session, crate::audit::Entry::from_bytes(b"{}".to_vec())).await.unwrap();
    house.approve(LEA, &body).await.unwrap();
    refused(waiter.await.unwrap(), Code::LoginRequired);
}

#[tokio::test]
async fn a_server_that_stops_lets_go_of_all_who_wait() {
    let house = Arc::new(House::new().await);
    let body = house.filed().await;
    let etag = house.look(ANN, &body).await.unwrap().etag;
    let waiter = tokio::spawn({
        let (house, body, etag) = (Arc::clone(&house), body.clone(), etag.clone());
        async move { wait(&house, ANN, &body, &etag, 60).await }
    });
    tokio::task::yield_now().await;
    house.0.app.waiting.close();
    assert!(waiter.await.unwrap().unwrap().is_none());
    assert!(wait(&house, ANN, &body, &etag, 60).await.unwrap().is_none(), "nor does anybody begin to wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_wait_and_all_are_told() {
    let house = Arc::new(House::new().await);
    let body = house.filed().await;
    let etag = house.look(ANN, &body).await.unwrap().etag;
    let mut waiting = tokio::task::JoinSet::new();
    for n in 50..175u8 {
        house.0.login_as(n, person(&format!("lead-{n}"), "leads")).await;
        for _ in 0..8 {
            let (house, body, etag) = (Arc::clone(&house), body.clone(), etag.clone());
            waiting.spawn(async move { wait(&house, n, &body, &etag, 60).await.unwrap().unwrap() });
        }
    }
    while house.0.app.waiting.len() < 1_000 {
        tokio::task::yield_now().await;
    }
    house.approve(LEA, &body).await.unwrap();
    // Whoever is not told waits in vain, and has nothing to unwrap.
    while let Some(told) = waiting.join_next().await {
        assert_eq!(told.unwrap().body.version, 1);
    }
    assert_eq!(house.0.app.waiting.len(), 0);
}
