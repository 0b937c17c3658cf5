package solve
import ("testing";"math/rand/v2";"fmt";"time";"sort")
func TestZZ(t *testing.T){
 var s Solver
 type row struct{seed int; d time.Duration; steps int64; text string}
 var rows []row
 for seed := range 300 {
  p := drawLarge(rand.New(rand.NewPCG(uint64(seed), 3)), 20, 50)
  b:=time.Now()
  r := s.Solve(p)
  d:=time.Since(b)
  gap := ""
  if s.dual.ready { gap = fmt.Sprintf("dual %v best %v", s.dual.base, s.best.value) }
  n:=0
  for j:=range p.Sites { for i := range p.Items { if s.can(j,i)>0 {n++} } }
  q:=0; for _,it:=range p.Items { if it.Whole {q++}}
  rows = append(rows, row{seed,d,r.Steps, fmt.Sprintf("max %d used %d short %d whole %d dens %.2f alert %v %s", p.SitesMax, len(r.Best.Sites), r.Best.Short, q, float64(n)/1000, s.alert, gap)})
 }
 sort.Slice(rows, func(a,b int) bool { return rows[a].d > rows[b].d })
 for _, r := range rows[:30] { fmt.Println(r) }
}
