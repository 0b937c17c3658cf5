package benchmark

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// LP is a linear program solved elsewhere: the value of every variable, and the dual value of every row.
type LP struct {
	Value map[string]float64
	Dual  map[string]float64
}

// fractional is the solved deterministic linear program of an instance.
type fractional struct {
	bound float64         // in micro-dollars
	duals []int64         // center × item
	share [][][][]float64 // type × line × city × center
}

// WriteLP writes the deterministic linear program of the instance in LP format, in dollars per T orders. Variables are
// y_type_center_city and u_type_center_line_city, stock rows b_center_item.
func (in *Instance) WriteLP() []byte {
	var b bytes.Buffer
	rate := func(q, j int) float64 { return in.Share[q] * in.City[j] * float64(in.Orders) }
	b.WriteString("Minimize\n obj:\n")
	in.eachFlow(func(q, j int) {
		for k, fixed := range in.Fixed {
			fmt.Fprintf(&b, " + %.12g y_%d_%d_%d\n", rate(q, j)*float64(fixed)/1e6, q, k, j)
			for l := range in.Types[q] {
				fmt.Fprintf(&b, " + %.12g u_%d_%d_%d_%d\n", rate(q, j)*float64(in.Unit[j][k])/1e6, q, k, l, j)
			}
		}
	})
	b.WriteString("Subject To\n")
	stock := make([]bytes.Buffer, len(in.Stock))
	in.eachFlow(func(q, j int) {
		for l, i := range in.Types[q] {
			fmt.Fprintf(&b, " a_%d_%d_%d:\n", q, l, j)
			for k := range in.Fixed {
				fmt.Fprintf(&b, " + u_%d_%d_%d_%d\n", q, k, l, j)
				if k < in.Virtual() {
					fmt.Fprintf(&stock[k*in.Items+i], " + %.12g u_%d_%d_%d_%d\n", rate(q, j), q, k, l, j)
				}
			}
			b.WriteString(" = 1\n")
			for k := range in.Fixed {
				fmt.Fprintf(&b, " v_%d_%d_%d_%d: u_%d_%d_%d_%d - y_%d_%d_%d <= 0\n", q, k, l, j, q, k, l, j, q, k, j)
			}
		}
	})
	for at := range stock {
		if stock[at].Len() > 0 {
			fmt.Fprintf(&b, " b_%d_%d:\n%s <= %d\n", at/in.Items, at%in.Items, stock[at].Bytes(), in.Stock[at])
		}
	}
	b.WriteString("End\n")
	return b.Bytes()
}

func (in *Instance) eachFlow(do func(q, j int)) {
	for q := range in.Types {
		if len(in.Types[q]) == 0 {
			continue
		}
		for j := range in.Cities {
			do(q, j)
		}
	}
}

// CBCArguments follow the name of the program on the command line of CBC, so that it writes a solution ReadCBC can read.
func CBCArguments(solution string) []string {
	return []string{"-printingOptions", "all", "-solve", "-solution", solution}
}

// ReadCBC reads the solution file CBC writes when it is run with CBCArguments.
func ReadCBC(text []byte) (LP, error) {
	lp := LP{Value: map[string]float64{}, Dual: map[string]float64{}}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if !strings.HasPrefix(lines[0], "Optimal") {
		return lp, fmt.Errorf("the solver says %q", lines[0])
	}
	for _, line := range lines[1:] {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "**"))
		if len(f) != 4 {
			return lp, fmt.Errorf("line %q", line)
		}
		value, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			return lp, fmt.Errorf("line %q: %w", line, err)
		}
		dual, err := strconv.ParseFloat(f[3], 64)
		if err != nil {
			return lp, fmt.Errorf("line %q: %w", line, err)
		}
		lp.Value[f[1]], lp.Dual[f[1]] = value, dual
	}
	return lp, nil
}

// fractional reads the solution of the instance's program. The bound is computed from the variables, not from what the solver says.
func (in *Instance) fractional(lp LP) (*fractional, error) {
	if len(lp.Value) == 0 {
		return nil, fmt.Errorf("no variable in the solution")
	}
	f := &fractional{duals: make([]int64, len(in.Stock)+in.Items), share: make([][][][]float64, len(in.Types))}
	in.eachFlow(func(q, j int) {
		rate := in.Share[q] * in.City[j] * float64(in.Orders)
		if j == 0 {
			f.share[q] = make([][][]float64, len(in.Types[q]))
			for l := range f.share[q] {
				f.share[q][l] = make([][]float64, len(in.Cities))
			}
		}
		for l := range in.Types[q] {
			f.share[q][l][j] = make([]float64, len(in.Fixed))
		}
		for k, fixed := range in.Fixed {
			f.bound += rate * float64(fixed) * lp.Value[fmt.Sprintf("y_%d_%d_%d", q, k, j)]
			for l := range in.Types[q] {
				u := lp.Value[fmt.Sprintf("u_%d_%d_%d_%d", q, k, l, j)]
				f.bound += rate * float64(in.Unit[j][k]) * u
				if u > 1e-9 {
					f.share[q][l][j][k] = u
				}
			}
		}
	})
	for at := range in.Stock {
		// The dual of a limit says how much the cost falls when it is raised by one: zero or negative.
		f.duals[at] = max(0, int64(-1e6*lp.Dual[fmt.Sprintf("b_%d_%d", at/in.Items, at%in.Items)]+0.5))
	}
	if slices.Max(f.duals) == 0 {
		return nil, fmt.Errorf("no stock row has a dual value: print rows too")
	}
	return f, nil
}
