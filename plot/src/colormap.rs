//! Colour maps: numbers to colours that stay ordered for every kind of colour vision, and in grey.

/// A map from `[0, 1]` to colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colormap {
    /// Dark blue over green to yellow: for quantities. S. van der Walt and N. Smith (2015), released as CC0.
    Viridis,
    /// Black over red to pale yellow: for heat on a photograph. By the same authors, CC0.
    Inferno,
    /// Blue over white to red: for signed quantities with zero in the middle. ColorBrewer's eleven-class RdBu
    /// (C. Brewer and M. Harrower, 2002), reversed.
    BlueRed,
}

impl Colormap {
    /// The colour of `value`, linearly interpolated between the anchors; values outside `[0, 1]` take the nearest end.
    pub fn color(self, value: f32) -> [u8; 3] {
        let anchors = self.table();
        let position = value.clamp(0.0, 1.0) * (anchors.len() - 1) as f32;
        let below = (position as usize).min(anchors.len() - 2);
        let fraction = position - below as f32;
        let (low, high) = (rgb(anchors[below]), rgb(anchors[below + 1]));
        std::array::from_fn(|c| {
            let (low, high) = (f32::from(low[c]), f32::from(high[c]));
            (low + fraction * (high - low)).round() as u8
        })
    }
}

impl Colormap {
    /// Colours between which the map is linear, at equal distances.
    pub(crate) fn anchors(self) -> usize {
        self.table().len()
    }

    fn table(self) -> &'static [u32] {
        match self {
            Self::Viridis => &VIRIDIS,
            Self::Inferno => &INFERNO,
            Self::BlueRed => &BLUE_RED,
        }
    }
}

fn rgb(hex: u32) -> [u8; 3] {
    let [_, red, green, blue] = hex.to_be_bytes();
    [red, green, blue]
}

/// Every eighth entry of the published table of 256: linear interpolation is within 2 of 255 of the rest.
const VIRIDIS: [u32; 33] = [
    0x440154, 0x470d60, 0x48186a, 0x482374, 0x472d7b, 0x453681, 0x424086, 0x3f4989, 0x3b528b, 0x375a8d,
    0x33638d, 0x2f6a8e, 0x2c728e, 0x297a8e, 0x26818e, 0x23898e, 0x21908c, 0x1f988b, 0x1f9f88, 0x21a685,
    0x28ae80, 0x31b57b, 0x3ebc74, 0x4cc26c, 0x5dc963, 0x6ece58, 0x82d34c, 0x96d83f, 0xabdc32, 0xc0df24,
    0xd5e21a, 0xeae51a, 0xfde725,
];

/// Every eighth entry of the published table of 256: linear interpolation is within 2 of 255 of the rest.
const INFERNO: [u32; 33] = [
    0x000004, 0x040312, 0x0b0724, 0x150b37, 0x210c4a, 0x2e0a5a, 0x3c0965, 0x4a0c6b, 0x57106d, 0x63146e,
    0x70196e, 0x7d1e6d, 0x89226a, 0x962766, 0xa32b61, 0xaf315c, 0xbb3755, 0xc63e4d, 0xd14644, 0xdb4f3b,
    0xe35932, 0xeb6528, 0xf1711e, 0xf67f14, 0xf98d0a, 0xfb9c06, 0xfcab0f, 0xfbba1f, 0xf9ca32, 0xf5d949,
    0xf2e865, 0xf3f586, 0xfcffa4,
];

const BLUE_RED: [u32; 11] = [
    0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7, 0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b,
    0x67001f,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_match_the_published_tables() {
        // Entries of the 256-colour tables as published with Matplotlib.
        let viridis = [
            (0, [68, 1, 84]),
            (13, [72, 20, 103]),
            (77, [52, 96, 141]),
            (128, [33, 145, 140]),
            (200, [112, 207, 87]),
            (255, [253, 231, 37]),
        ];
        let inferno = [
            (0, [0, 0, 4]),
            (13, [8, 5, 29]),
            (77, [108, 24, 110]),
            (128, [188, 55, 84]),
            (200, [251, 157, 7]),
            (255, [252, 255, 164]),
        ];
        for (map, table) in [(Colormap::Viridis, viridis), (Colormap::Inferno, inferno)] {
            for (entry, expected) in table {
                let color = map.color(entry as f32 / 255.0);
                assert!((0..3).all(|c| color[c].abs_diff(expected[c]) <= 2), "{map:?} {entry}: {color:?}");
            }
        }
    }

    #[test]
    fn quantities_get_brighter_and_signs_mirror() {
        let luma = |[r, g, b]: [u8; 3]| 0.2126 * f32::from(r) + 0.7152 * f32::from(g) + 0.0722 * f32::from(b);
        for map in [Colormap::Viridis, Colormap::Inferno] {
            let lumas: Vec<f32> = (0..=64).map(|i| luma(map.color(i as f32 / 64.0))).collect();
            assert!(lumas.windows(2).all(|pair| pair[1] > pair[0]), "{map:?} {lumas:?}");
        }
        assert_eq!(Colormap::BlueRed.color(0.5), [247, 247, 247]);
        assert_eq!(Colormap::BlueRed.color(-3.0), Colormap::BlueRed.color(0.0));
        assert_eq!(Colormap::BlueRed.color(3.0), Colormap::BlueRed.color(1.0));
    }
}
