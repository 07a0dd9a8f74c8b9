package environment

import (
	"fmt"
	"math"
	"strconv"
)

// enough is the contrast an accent must have to white to carry words (WCAG 2.2, 1.4.3).
const enough = 4.5

// colour is red, green and blue, from 0 to 1.
type colour [3]float64

var (
	white    = colour{1, 1, 1}
	darkCard = colour{0x1d / 255.0, 0x1f / 255.0, 0x1c / 255.0}
)

// Shades are the colours that follow from an accent, as #rrggbb.
type Shades struct {
	Light  string // the accent itself, which carries white words on light pages
	Dark   string // a lighter shade of it, for dark pages
	OnDark string // for words on Dark
}

// ShadesOf gives the shades of an accent. They hold nothing but numbers computed
// here, never the text given. An error if it is no colour of the form #rrggbb,
// or if not everybody can read white words on it.
func ShadesOf(accent string) (Shades, error) {
	c, err := parse(accent)
	if err != nil {
		return Shades{}, err
	}
	if ratio(c, white) < enough {
		return Shades{}, errRange
	}
	light := c
	for share := 0.0; ratio(light, darkCard) < 7 && share < 1; share += 0.02 {
		light = mix(c, white, share)
	}
	return Shades{Light: c.String(), Dark: light.String(), OnDark: mix(c, colour{}, 0.8).String()}, nil
}

func parse(text string) (colour, error) {
	if len(text) != 7 || text[0] != '#' {
		return colour{}, errRange
	}
	n, err := strconv.ParseUint(text[1:], 16, 24)
	if err != nil {
		return colour{}, errRange
	}
	return colour{float64(n>>16) / 255, float64(n>>8&255) / 255, float64(n&255) / 255}, nil
}

// String writes the colour as a style sheet takes it.
func (c colour) String() string {
	return fmt.Sprintf("#%02x%02x%02x", byte(math.Round(c[0]*255)), byte(math.Round(c[1]*255)), byte(math.Round(c[2]*255)))
}

func mix(a, b colour, share float64) colour {
	for i := range a {
		a[i] += (b[i] - a[i]) * share
	}
	return a
}

// ratio is the contrast ratio of WCAG 2.2.
func ratio(a, b colour) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(c colour) float64 {
	for i, v := range c {
		if v <= 0.04045 {
			c[i] = v / 12.92
		} else {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
}
