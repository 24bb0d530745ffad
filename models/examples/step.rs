use archaeo_models::*;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor, Int};
use std::time::Instant;
fn main() {
    let which: Vec<String> = std::env::args().skip(1).collect();
    for name in which {
        let dev = Device::flex();
        let spec = NetworkSpec::named(&name, 10, 32).unwrap();
        let card = ModelCard { name: name.clone(), network: spec, preprocessing: Preprocessing::plain(32), classes: (0..10).map(|i| i.to_string()).collect() };
        let m = Classifier::new(card, 1, &dev).unwrap();
        let b = 64;
        let x = Tensor::<4>::random([b, 3, 32, 32], Distribution::Uniform(0., 1.), &dev);
        let y = Tensor::<1, Int>::zeros([b], &dev);
        let mut inf = vec![];
        for _ in 0..7 { let s = Instant::now(); let _ = m.logits(x.clone(), &mut Pass::evaluate(&mut ())).into_data(); inf.push(s.elapsed().as_secs_f64()); }
        let t = m.train();
        let (mut f, mut bw) = (vec![], vec![]);
        for i in 0..7 {
            let mut step = TrainingStep::new(1, i, (0..b as u64).collect());
            let s = Instant::now();
            let l = archaeo_ops::cross_entropy(t.logits(x.clone().autodiff(), &mut Pass::train(&mut (), &mut step)), y.clone());
            f.push(s.elapsed().as_secs_f64());
            let s = Instant::now();
            let _g = l.backward();
            bw.push(s.elapsed().as_secs_f64());
        }
        let med = |mut v: Vec<f64>| { v.sort_by(f64::total_cmp); v[0] * 1e3 };
        println!("{name}: params {} infer {:.1} ms, train forward {:.1} backward {:.1}", t.parameter_count(), med(inf), med(f), med(bw));
    }
}
