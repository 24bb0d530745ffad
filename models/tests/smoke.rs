use archaeo_models::*;
use burn::tensor::{Device, Distribution, Tensor};
#[test]
fn smoke() {
    for name in ["vit_micro", "resnet_micro", "resnet20_cifar", "resnet50_cifar"] {
        let dev = Device::flex();
        let spec = NetworkSpec::named(name, 10, 32).unwrap();
        let card = ModelCard { name: name.into(), network: spec, preprocessing: Preprocessing::plain(32), classes: (0..10).map(|i| i.to_string()).collect() };
        let m = Classifier::new(card, 1, &dev).unwrap();
        let st = state_of(&m);
        println!("{name} {} params {:?}", m.parameter_count(), st.keys().take(6).collect::<Vec<_>>());
        println!("{:?}", st.keys().filter(|k| k.contains("downsample")).take(3).collect::<Vec<_>>());
        let x = Tensor::<4>::random([2, 3, 32, 32], Distribution::Uniform(0., 1.), &dev);
        let xa = x.clone().autodiff().require_grad();
        let y = m.logits(x, &mut Pass::evaluate(&mut ()));
        let ya = m.logits(xa.clone(), &mut Pass::evaluate(&mut ()));
        println!("{:?}", y.clone().sub(ya.clone().inner()).abs().max().into_scalar::<f32>());
        let g = ya.sum().backward();
        println!("grad {:?}", xa.grad(&g).unwrap().abs().max().into_scalar::<f32>());
        use burn::module::Module;
        let t = m.train();
        let mut step = TrainingStep::new(1, 0, vec![0, 1]);
        let y = t.logits(xa.clone().detach(), &mut Pass::train(&mut (), &mut step));
        let g = y.sum().backward();
        if let Network::Vit(v) = &t.network { println!("{:?}", v.blocks[0].attn.qkv.weight.val().grad(&g).map(|g| g.abs().max().into_scalar::<f32>())); }
        if let Network::Resnet(v) = &t.network { println!("{:?} {:?}", v.conv1.weight.val().grad(&g).map(|g| g.abs().max().into_scalar::<f32>()), v.bn1.running_mean.val().grad(&g).is_some()); }
        let t = t.absorb_moments(step.moments, 0.1);
        let f = t.valid();
        println!("{}", f.logits(xa.inner(), &mut Pass::evaluate(&mut ())));
    }
}
