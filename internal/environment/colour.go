package environment

import "math"

// linear is the relative luminance of one channel of sRGB (WCAG 2.2, "relative luminance").
func linear(channel uint64) float64 {
	c := float64(channel) / 255
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}
