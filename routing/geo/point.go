package geo

import "math"

// EarthRadiusM is the radius of the sphere all distances are measured on, in meters.
const EarthRadiusM = 6_371_000

// farM is half the circumference: the distance to a place that is not on the map, so that it never looks near.
const farM = 20_015_087

// unit is the length of a Point's vector: with 2^30, a coordinate resolves 6 mm on the ground and squares still fit an int64.
const unit = 1 << 30

// Point is a place on the sphere as an integer vector of length 2^30. The zero Point is no place. Points are precomputed for
// sites, because turning degrees into a vector costs more than the distance itself.
type Point struct{ X, Y, Z int32 }

// PointOf places degrees on the sphere. Degrees that name no place (not a number, outside ±90 and ±180) give the zero Point.
func PointOf(lat, lon float64) Point {
	if !(lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180) {
		return Point{}
	}
	sinLat, cosLat := sincosDegrees(lat)
	sinLon, cosLon := sincosDegrees(lon)
	return Point{toUnit(float64(cosLat * cosLon)), toUnit(float64(cosLat * sinLon)), toUnit(sinLat)}
}

func toUnit(x float64) int32 { return int32(math.RoundToEven(float64(x * unit))) }

// IsZero reports whether p is no place.
func (p Point) IsZero() bool { return p == Point{} }

// DistanceM is the great circle from p to q in meters. From or to no place it is half the earth's circumference.
//
// The angle is measured by the chord (the haversine is its square over four). Near the antipode a chord hardly changes with the
// angle, so beyond a quarter turn the chord to the antipode is measured instead.
func (p Point) DistanceM(q Point) int64 {
	if p.IsZero() || q.IsZero() {
		return farM
	}
	dx, dy, dz := int64(p.X)-int64(q.X), int64(p.Y)-int64(q.Y), int64(p.Z)-int64(q.Z)
	square := dx*dx + dy*dy + dz*dz
	if square <= 2*unit*unit {
		return int64(arcM(square))
	}
	dx, dy, dz = int64(p.X)+int64(q.X), int64(p.Y)+int64(q.Y), int64(p.Z)+int64(q.Z)
	return int64(float64(math.Pi*EarthRadiusM) - arcM(dx*dx+dy*dy+dz*dz) + 0.5)
}

// arcM is the length in meters, half a meter up for rounding, of the arc over a chord of the given square.
func arcM(square int64) float64 {
	half := math.Sqrt(float64(square)) / (2 * unit)
	return float64(2*EarthRadiusM*asin(half)) + 0.5
}

// DistanceM is the great circle between two places in degrees, in meters, on a sphere of 6,371 km.
func DistanceM(lat1, lon1, lat2, lon2 float64) int64 {
	return PointOf(lat1, lon1).DistanceM(PointOf(lat2, lon2))
}

// sincosDegrees reduces by quarter turns in degrees, which is exact, and then evaluates the series on ±45°.
func sincosDegrees(degrees float64) (sin, cos float64) {
	quarter := math.RoundToEven(degrees / 90)
	x := float64((degrees - float64(90*quarter)) * (math.Pi / 180))
	s, c := sinKernel(x), cosKernel(x)
	switch int(quarter) & 3 {
	case 1:
		return c, -s
	case 2:
		return -s, -c
	case 3:
		return -c, s
	}
	return s, c
}

// The three functions below are the classic minimax series (as in FreeBSD's msun), written so that nothing can be fused.

func sinKernel(x float64) float64 {
	z := float64(x * x)
	r := series(z, 1.58969099521155010221e-10, -2.50507602534068634195e-08, 2.75573137070700676789e-06,
		-1.98412698298579493134e-04, 8.33333333332248946124e-03, -1.66666666666666324348e-01)
	return x + float64(float64(x*z)*r)
}

func cosKernel(x float64) float64 {
	z := float64(x * x)
	r := series(z, -1.13596475577881948265e-11, 2.08757232129817482790e-09, -2.75573143513906633035e-07,
		2.48015872894767294178e-05, -1.38888888888741095749e-03, 4.16666666666666019037e-02)
	return 1 - (float64(0.5*z) - float64(float64(z*z)*r))
}

// asin serves 0 ≤ x ≤ 0.7072, an arc of at most a quarter turn.
func asin(x float64) float64 {
	if x > 0.5 {
		return math.Pi/2 - float64(2*asin(math.Sqrt(float64((1-x)*0.5))))
	}
	z := float64(x * x)
	p := float64(z * series(z, 3.47933107596021167570e-05, 7.91534994289814532176e-04, -4.00555345006794114027e-02,
		2.01212532134862925881e-01, -3.25565818622400915405e-01, 1.66666666666666657415e-01))
	q := 1 + float64(z*series(z, 0, 0, 7.70381505559019352791e-02, -6.88283971605453293030e-01, 2.02094576023350569471e+00, -2.40339491173441421878e+00))
	return x + float64(x*(p/q))
}

// series evaluates a polynomial of degree five by Horner's rule, every step rounded.
func series(z, c5, c4, c3, c2, c1, c0 float64) float64 {
	r := float64(z*c5) + c4
	r = float64(z*r) + c3
	r = float64(z*r) + c2
	r = float64(z*r) + c1
	return float64(z*r) + c0
}
