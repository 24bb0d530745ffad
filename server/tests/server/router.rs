//! What the lab answers, asked without a socket.

use crate::support::{HOST, TOKEN, block_on, get, lab, request, send};
use archaeo_plot::{Image, to_png};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

#[test]
fn the_first_visit_leaves_the_token_in_a_cookie_that_opens_the_page() {
    block_on(async {
        let lab = lab();
        let plain = |path: &str| Request::get(path).header("host", HOST).body(Body::empty()).unwrap();
        let locked = send(&lab, plain("/")).await;
        assert_eq!(locked.status, StatusCode::UNAUTHORIZED);
        assert!(locked.error().contains("archaeo lab"));
        assert_eq!(send(&lab, plain("/?token=another-token-of-some")).await.status, StatusCode::UNAUTHORIZED);

        let entered = send(&lab, plain(&format!("/?token={TOKEN}"))).await;
        assert_eq!(
            (entered.status, entered.headers["location"].to_str().unwrap()),
            (StatusCode::SEE_OTHER, "/")
        );
        let cookies: Vec<&str> =
            entered.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert!(
            cookies.iter().all(|cookie| cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"))
        );
        let cookie =
            cookies.iter().map(|cookie| cookie.split(';').next().unwrap()).collect::<Vec<_>>().join("; ");
        let page =
            Request::get("/").header("host", HOST).header("cookie", &cookie).body(Body::empty()).unwrap();
        let page = send(&lab, page).await;
        assert_eq!(
            (page.status, page.headers["content-type"].to_str().unwrap()),
            (StatusCode::OK, "text/html; charset=utf-8")
        );
        assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'self'"));
        // The token of one lab is nothing to another on the same machine.
        let other = cookie.replace("7337", "7338");
        let page =
            Request::get("/").header("host", HOST).header("cookie", other).body(Body::empty()).unwrap();
        assert_eq!(send(&lab, page).await.status, StatusCode::UNAUTHORIZED);
    });
}

#[test]
fn other_pages_and_other_names_are_refused() {
    block_on(async {
        let lab = lab();
        let with = |name: &'static str, value: &str| {
            let mut request = request("GET", "/api/lab", Body::empty());
            request.headers_mut().insert(name, value.parse().unwrap());
            request
        };
        for (name, value, status) in [
            ("host", "rebound.example:7337", StatusCode::MISDIRECTED_REQUEST),
            ("host", "127.0.0.1:80", StatusCode::MISDIRECTED_REQUEST),
            ("origin", "http://evil.example", StatusCode::FORBIDDEN),
            ("origin", "null", StatusCode::FORBIDDEN),
            ("authorization", "Bearer something-else-here", StatusCode::UNAUTHORIZED),
            ("origin", "http://127.0.0.1:7337", StatusCode::OK),
            ("host", "LOCALHOST:7337", StatusCode::OK),
        ] {
            assert_eq!(send(&lab, with(name, value)).await.status, status, "{name}: {value}");
        }
        // A form of another page can send neither the header nor JSON.
        let mut form = request("POST", "/api/attacks", "{}");
        form.headers_mut().remove("x-archaeo");
        assert_eq!(send(&lab, form).await.status, StatusCode::FORBIDDEN);
    });
}

#[test]
fn paths_are_names_and_nothing_else() {
    block_on(async {
        let lab = lab();
        for path in [
            "/../Cargo.toml",
            "/..%2f..%2fetc%2fpasswd",
            "/etc/passwd",
            "/api/images/..%2f..%2fetc%2fpasswd",
            "/api/images/d0",
            "/api/images/d999999",
            "/api/images/d-1",
            "/api/images/u0000",
            "/api/nothing",
            "/api/attacks/j99/events",
            "/api/models/nobody/answer?image=d1",
            "/index.html/..",
        ] {
            let answered = get(&lab, path).await;
            assert_eq!(answered.status, StatusCode::NOT_FOUND, "{path}");
            assert!(!answered.error().is_empty(), "{path}");
        }
    });
}

#[test]
fn questions_are_answered_and_what_cannot_be_is_said_in_a_sentence() {
    block_on(async {
        let lab = lab();
        let overview = get(&lab, "/api/lab").await.json();
        assert_eq!(overview["ready"], true);
        assert_eq!(overview["models"][0]["attention"]["whole"], true);
        assert!(overview["models"][0]["verdicts"]["chefer"]["over_random"].is_string());
        assert!(overview["models"][0]["atlas"][0][0]["label"].is_string());
        assert!(
            overview["models"][1]["attention"].is_null()
                && overview["models"][1]["blocks"].as_u64() > Some(2)
        );
        for (path, status, said) in [
            ("/api/models/cnn/attention?image=d1", StatusCode::CONFLICT, "cnn has no attention"),
            ("/api/models/cnn/depth?image=d1", StatusCode::CONFLICT, "cnn has no attention"),
            (
                "/api/models/vit/explain?image=d1&method=lrp",
                StatusCode::BAD_REQUEST,
                "not a residual network",
            ),
            ("/api/models/vit/explain?image=d1&method=magic", StatusCode::BAD_REQUEST, "no method \"magic\""),
            ("/api/models/vit/explain?image=d1", StatusCode::BAD_REQUEST, "say which method"),
            (
                "/api/models/vit/explain?image=d1&method=saliency&target=10",
                StatusCode::BAD_REQUEST,
                "no output 10",
            ),
            ("/api/models/vit/row?image=d1&query=1,0", StatusCode::BAD_REQUEST, "in [0, 1)"),
            (
                "/api/models/vit/row?image=d1&query=top",
                StatusCode::BAD_REQUEST,
                "neither readout nor a place",
            ),
            ("/api/models/vit/rollout?image=d1&discard=1", StatusCode::BAD_REQUEST, "in [0, 1)"),
            ("/api/models/vit/rollout?image=d1&start=5", StatusCode::BAD_REQUEST, "from 1 to 4"),
            ("/api/models/vit/rollout?image=d1&fusion=sum", StatusCode::BAD_REQUEST, "mean, max or min"),
            ("/api/models/cnn/rollout?image=d1", StatusCode::CONFLICT, "no attention"),
        ] {
            let answered = get(&lab, path).await;
            assert_eq!(answered.status, status, "{path}");
            assert!(answered.error().contains(said), "{path}: {}", answered.error());
        }
        let intervene = |body: serde_json::Value| {
            let lab = lab.clone();
            async move { send(&lab, request("POST", "/api/models/vit/intervene", body.to_string())).await }
        };
        let nothing = intervene(json!({ "image": "d1", "off": [] })).await.arrays().0;
        assert_eq!(nothing["before"], nothing["after"]);
        let head = |head: usize| json!({ "image": "d1", "off": [{ "layer": 1, "part": "head", "head": head, "by": "zero" }] });
        let off = intervene(head(1)).await.arrays().0;
        assert_ne!(off["before"], off["after"]);
        assert_eq!(intervene(head(4)).await.error(), "vit_micro does not have head 4 of layer 1.");
        assert_eq!(intervene(head(0)).await.error(), "heads are counted from 1.");
        assert!(intervene(json!({ "imago": "d1" })).await.error().starts_with("This cannot be understood"));
    });
}

#[test]
fn images_are_added_in_memory_and_bad_ones_refused_by_name() {
    block_on(async {
        let lab = lab();
        let add = |name: &str, bytes: Vec<u8>| {
            let (lab, path) = (lab.clone(), format!("/api/images?name={name}"));
            async move { send(&lab, request("POST", &path, bytes)).await }
        };
        let png = to_png(&Image::filled(48, 40, [200, 30, 30])).unwrap();
        let added = add("red.png", png.clone()).await.json();
        assert_eq!((added["name"].as_str(), added["width"].as_u64()), (Some("red.png"), Some(48)));
        let id = added["id"].as_str().unwrap();
        assert_eq!(add("again.png", png).await.json()["id"], id, "the same pixels are the same image");
        assert_eq!(get(&lab, &format!("/api/models/cnn/answer?image={id}")).await.status, StatusCode::OK);
        let small = get(&lab, &format!("/api/images/{id}.png?side=12")).await;
        assert_eq!((&small.body[1..4], small.body[19], small.body[23]), (&b"PNG"[..], 12, 10));

        // 30,000 by 30,000 pixels in a few bytes; half a file; a file of another kind; nothing.
        let mut bomb = to_png(&Image::filled(8, 8, [0; 3])).unwrap();
        bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
        let half = to_png(&Image::filled(64, 64, [9; 3])).unwrap();
        for bytes in [bomb, half[..half.len() / 2].to_vec(), b"%PDF-1.7".to_vec(), Vec::new()] {
            let refused = add("bad.png", bytes).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(refused.error().starts_with("bad.png cannot be used: "), "{}", refused.error());
        }
        let refused = add("large.png", vec![0; (20 << 20) + 1]).await;
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(refused.error(), "This is larger than the 20 MiB that are accepted.");
    });
}

#[test]
fn an_attack_is_told_step_by_step_and_its_image_is_there_afterwards() {
    block_on(async {
        let lab = lab();
        let begin = |body: serde_json::Value| {
            let lab = lab.clone();
            async move { send(&lab, request("POST", "/api/attacks", body.to_string())).await }
        };
        let events = |job: String| {
            let lab = lab.clone();
            async move {
                let told = get(&lab, &format!("/api/attacks/{job}/events")).await;
                String::from_utf8(told.body.to_vec()).unwrap()
            }
        };
        let asked = json!({ "image": "d2", "model": "vit", "attack": "pgd", "norm": "linf", "size": 8, "steps": 6, "watch": ["cnn"] });
        let job = begin(asked).await.json()["job"].as_str().unwrap().to_owned();
        let told = events(job.clone()).await;
        let kinds: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert!(kinds.len() >= 3 && kinds[..kinds.len() - 1].iter().all(|kind| *kind == "step"));
        assert_eq!(kinds.last(), Some(&"done"));
        let data = |n: usize| -> serde_json::Value {
            serde_json::from_str(told.lines().filter_map(|line| line.strip_prefix("data: ")).nth(n).unwrap())
                .unwrap()
        };
        let (clean, end) = (data(0), data(kinds.len() - 1));
        assert_eq!((clean["step"].as_u64(), clean["linf"].as_f64()), (Some(0), Some(0.0)));
        assert!(
            clean["models"]["vit"]["drift"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|l| l.as_array().unwrap())
                .all(|d| d.as_f64() == Some(0.0))
        );
        assert!(data(1)["linf"].as_f64().unwrap() <= 8.0 + 1e-9);
        // The image that it made is an image like others, and the model is asked about the same pixels.
        let id = end["image"].as_str().unwrap();
        let answer = get(&lab, &format!("/api/models/vit/answer?image={id}")).await.json();
        assert_eq!(answer["top"][0], end["answer"]);
        assert_eq!(get(&lab, &format!("/api/attacks/{job}/steps/0.png")).await.status, StatusCode::OK);
        // What was missed is told again.
        let mut late = request("GET", &format!("/api/attacks/{job}/events"), Body::empty());
        late.headers_mut().insert("last-event-id", (kinds.len() - 1).to_string().parse().unwrap());
        let rest = send(&lab, late).await;
        assert_eq!(String::from_utf8(rest.body.to_vec()).unwrap().matches("event:").count(), 1);

        for (body, said) in [
            (json!({ "image": "d2", "model": "vit", "attack": "nuke" }), "there is no attack \"nuke\"."),
            (json!({ "image": "d2", "model": "vit", "attack": "fgsm", "norm": "l0" }), "FGSM has no norm l0"),
            (json!({ "image": "d2", "model": "vit", "attack": "pgd", "size": 0.2 }), "half a level"),
            (
                json!({ "image": "d2", "model": "vit", "attack": "pgd", "steps": 100000 }),
                "at most 1000 steps",
            ),
            (json!({ "image": "d2", "model": "vit", "attack": "pgd", "target": 77 }), "no output 77"),
            (
                json!({ "image": "d2", "model": "cnn", "attack": "attention-fool" }),
                "do not attend to one another",
            ),
        ] {
            let job = begin(body.clone()).await.json()["job"].as_str().unwrap().to_owned();
            let told = events(job).await;
            assert!(
                told.contains("event: failed") && told.contains(&said.replace('"', "\\\"")),
                "{body}: {told}"
            );
        }
    });
}

#[test]
fn an_attack_stops_when_it_is_told_to() {
    block_on(async {
        let lab = lab();
        let asked = json!({ "image": "d1", "model": "cnn", "attack": "cw", "norm": "l2", "steps": 1000 });
        let job = send(&lab, request("POST", "/api/attacks", asked.to_string())).await.json();
        let job = job["job"].as_str().unwrap().to_owned();
        assert_eq!(
            send(&lab, request("DELETE", &format!("/api/attacks/{job}"), Body::empty())).await.status,
            StatusCode::OK
        );
        let told = get(&lab, &format!("/api/attacks/{job}/events")).await;
        assert!(String::from_utf8(told.body.to_vec()).unwrap().contains("event: stopped"));
    });
}
