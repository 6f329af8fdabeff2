package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/kubeferry/kubeferry"

// A row says what a package may import of ours, and what it must never reach,
// however far down. A word that ends in "/..." means all below it as well.
type row struct{ may, never []string }

// Words for what rows must never reach.
var (
	etcdClients = []string{"go.etcd.io/etcd/client/v3/...", "go.etcd.io/etcd/client/v2/..."}
	commandLine = []string{"github.com/spf13/cobra/...", "github.com/spf13/viper/..."}
	terminals   = []string{"golang.org/x/term/...", "github.com/schollz/progressbar/...", "github.com/mattn/go-isatty/..."}
	testTools   = []string{"testing/...", "go.etcd.io/etcd/tests/...", "pgregory.net/rapid/...", "go.uber.org/goleak/..."}
	// servers drag in all of Kubernetes, or its command line.
	servers = []string{"k8s.io/kubernetes/...", "k8s.io/kubectl/...", "k8s.io/cli-runtime/...", "k8s.io/apiserver/pkg/server/..."}
	stores  = []string{"remote/...", "crypt/..."}
)

// layers is the import table of the product. A new package needs a row.
var layers = map[string]row{
	".":   {may: []string{"cmd"}, never: slices.Concat(servers, testTools)},
	"cmd": {may: []string{"cmd/console", "cmd/flags", "cmd/ferry/...", "etcdwalk/...", "archive/...", "crypt", "remote/..."}, never: testTools},
	"cmd/console": {
		never: slices.Concat(commandLine, []string{"cmd", "cmd/flags", "cmd/ferry", "etcdwalk/...", "archive/..."}, stores, testTools),
	},
	"cmd/flags": {
		may:   []string{"cmd/console", "cmd/ferry", "cmd/ferry/undo", "etcdwalk/...", "archive/...", "crypt", "remote/..."},
		never: slices.Concat([]string{"cmd"}, testTools),
	},
	"cmd/ferry": {
		may:   []string{"cmd/ferry/undo", "etcdwalk/...", "archive/...", "crypt", "remote/..."},
		never: slices.Concat(commandLine, terminals, testTools),
	},
	"cmd/ferry/undo": {
		may:   []string{"etcdwalk", "etcdwalk/kube/...", "etcdwalk/replay/...", "archive", "crypt", "remote"},
		never: slices.Concat(commandLine, terminals, etcdClients, testTools),
	},
	"cmd/ferry/doctor": {
		may:   []string{"etcdwalk", "etcdwalk/etcd3", "etcdwalk/kube/..."},
		never: slices.Concat(commandLine, terminals, stores, testTools),
	},

	"etcdwalk":             {never: slices.Concat([]string{"go.etcd.io/...", "google.golang.org/grpc/..."}, commandLine, testTools)},
	"etcdwalk/connect":     clientless,
	"etcdwalk/tree":        clientless,
	"etcdwalk/etcd3":       driver,
	"etcdwalk/etcd2":       driver,
	"etcdwalk/dbfile":      driver,
	"etcdwalk/embedded":    driver,
	"etcdwalk/kube":        {may: []string{"etcdwalk", "etcdwalk/kube/object"}, never: slices.Concat(etcdClients, testTools)},
	"etcdwalk/kube/object": {never: slices.Concat(etcdClients, testTools)},
	"etcdwalk/kube/order":  {may: []string{"etcdwalk", "etcdwalk/kube", "etcdwalk/kube/object"}, never: slices.Concat(etcdClients, testTools)},
	"etcdwalk/kube/need":   {may: []string{"etcdwalk", "etcdwalk/kube", "etcdwalk/kube/object", "etcdwalk/kube/order"}, never: slices.Concat(etcdClients, testTools)},
	"etcdwalk/kube/health": {
		may:   []string{"etcdwalk", "etcdwalk/kube", "etcdwalk/kube/object", "etcdwalk/kube/order", "etcdwalk/kube/need"},
		never: slices.Concat(etcdClients, testTools),
	},
	"etcdwalk/replay/journal": {never: slices.Concat([]string{"etcdwalk", "etcdwalk/kube/...", "archive/..."}, stores, etcdClients, testTools)},
	"etcdwalk/replay": {
		may:   []string{"etcdwalk", "etcdwalk/replay/journal"},
		never: slices.Concat([]string{"etcdwalk/kube/...", "archive/..."}, stores, etcdClients, testTools),
	},

	"archive":            {may: []string{"etcdwalk", "archive/strictjson"}, never: slices.Concat(stores, etcdClients, testTools)},
	"archive/strictjson": {never: slices.Concat([]string{"archive", "etcdwalk/...", "cmd/..."}, stores, testTools)},
	"crypt":              {never: testTools},

	"remote":         {never: testTools},
	"remote/dir":     {may: []string{"remote"}, never: testTools},
	"remote/s3":      {may: []string{"remote"}, never: testTools},
	"remote/catalog": {may: []string{"remote", "archive/strictjson"}, never: slices.Concat([]string{"archive", "crypt", "etcdwalk/..."}, testTools)},
}

// clientless packages know what all drivers share, and speak to no server.
var clientless = row{
	may:   []string{"etcdwalk"},
	never: slices.Concat([]string{"archive/...", "cmd/..."}, etcdClients, stores, testTools),
}

var driver = row{
	may:   []string{"etcdwalk", "etcdwalk/connect", "etcdwalk/tree"},
	never: slices.Concat([]string{"etcdwalk/replay", "etcdwalk/kube/...", "archive/...", "cmd/..."}, stores, testTools),
}

// helpers serve tests and scripts only: they may import anything, and nothing
// in the table may import them.
var helpers = []string{"etcdwalk/walktest", "etcdwalk/kube/kubetest", "remote/remotetest", "scripts/..."}

// homes says which packages alone may import a library themselves.
var homes = map[string][]string{
	"filippo.io/age/...":                 {"crypt"},
	"github.com/klauspost/compress/...":  {"archive", "etcdwalk/dbfile"},
	"github.com/minio/minio-go/...":      {"remote/s3"},
	"github.com/schollz/progressbar/...": {"cmd/console"},
	"github.com/spf13/cobra/...":         {"cmd", "cmd/flags"},
	"github.com/spf13/viper/...":         {"cmd/flags"},
	"go.etcd.io/etcd/client/v2/...":      {"etcdwalk/etcd2"},
	"go.etcd.io/etcd/server/...":         {"etcdwalk/embedded"},
	"github.com/fxamacker/cbor/...":      {"etcdwalk/kube/object"},
	"golang.org/x/term/...":              {"cmd/console"},
	"k8s.io/...":                         {"etcdwalk/kube/object"},
	"sigs.k8s.io/...":                    {"etcdwalk/kube/object"},
}

// exports is how many types and functions a package may export: what is more does not
// fit into a head. Methods, constants of a type and sentinels do not count.
const exports = 25

// roomy are the packages that may export more, with the reason.
var roomy = map[string]int{
	"etcdwalk":  45, // the domain: every other package speaks in its words
	"cmd/flags": 30, // each group of flags is a type, and what it resolves to is another
}

// commandLines is how long a file of cmd may be: one command, or a part of it that
// has a name.
const commandLines = 150

// singleFiles are libraries that one file of their home imports.
var singleFiles = []string{"github.com/spf13/viper/...", "github.com/schollz/progressbar/..."}

// topLevel is what may lie in the repository's root, hidden files aside.
var topLevel = []string{
	"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
	"archive", "cmd", "crypt", "etcdwalk", "go.mod", "go.sum",
	"layout_test.go", "main.go", "remote", "scripts", "testdata",
}

// A pkg is what `go list` tells of a package, its paths made relative to the
// module. Imports are its own, Deps all that it reaches.
type pkg struct {
	ImportPath, Dir, Doc   string
	GoFiles, Imports, Deps []string
}

func TestImportsKeepToTheTable(t *testing.T) {
	pkgs := listPackages(t)
	for _, problem := range checkLayers(pkgs) {
		t.Error(problem)
	}
	if !slices.ContainsFunc(pkgs, func(p pkg) bool { return p.ImportPath == "." }) {
		t.Error("go list does not tell of the main package, so this test looked at nothing")
	}
}

func TestSomeLibrariesLiveInOneFile(t *testing.T) {
	found := map[string][]string{}
	for _, p := range listPackages(t) {
		for file, imports := range importsByFile(t, p) {
			for _, library := range singleFiles {
				if slices.ContainsFunc(imports, func(i string) bool { return matches(i, []string{library}) }) {
					found[library] = append(found[library], p.ImportPath+"/"+file)
				}
			}
		}
	}
	for _, library := range singleFiles {
		if files := found[library]; len(files) != 1 {
			t.Errorf("%s is imported by %q: it lives in one file", library, files)
		}
	}
}

// A command is read in one go, and what it tells scripts has a type.
func TestCommandsAreShortAndTyped(t *testing.T) {
	for _, p := range listPackages(t) {
		if !matches(p.ImportPath, []string{"cmd", "cmd/console"}) {
			continue
		}
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range checkCommand(p.ImportPath, string(text)) {
				t.Errorf("%s/%s: %s", p.ImportPath, name, problem)
			}
		}
	}
}

func checkCommand(path, text string) []string {
	var problems []string
	if n := strings.Count(text, "\n"); path == "cmd" && n > commandLines {
		problems = append(problems, fmt.Sprintf("it has %d lines, and may have %d", n, commandLines))
	}
	for _, untyped := range []string{"map[string]any", "map[string]string{", "map[string]interface{}"} {
		if strings.Contains(text, "Result = "+untyped) || strings.Contains(text, "Object("+untyped) || untyped != "map[string]string{" && strings.Contains(text, untyped) {
			problems = append(problems, "JSON without a type: "+untyped)
		}
	}
	return problems
}

func TestEveryPackageHasAComment(t *testing.T) {
	for _, p := range listPackages(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("package %s has no package comment", p.ImportPath)
		}
	}
}

func TestNothingRunsBeforeMain(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, name := range p.GoFiles {
			for _, decl := range parse(t, filepath.Join(p.Dir, name), parser.SkipObjectResolution).Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
					t.Errorf("%s/%s has an init function", p.ImportPath, name)
				}
			}
		}
	}
}

func TestNoPackageExportsTooMuch(t *testing.T) {
	for _, p := range listPackages(t) {
		var names []string
		for _, name := range p.GoFiles {
			names = append(names, exported(parse(t, filepath.Join(p.Dir, name), parser.SkipObjectResolution))...)
		}
		if problem := checkExports(p.ImportPath, names); problem != "" {
			t.Error(problem)
		}
	}
}

// exported are the types and functions that a file exports.
func exported(file *ast.File) []string {
	var names []string
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.IsExported() {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() {
					names = append(names, s.Name.Name)
				}
			}
		}
	}
	return names
}

// checkExports compares what a package exports with its budget.
func checkExports(path string, names []string) string {
	most := exports
	if more, ok := roomy[path]; ok {
		most = more
	}
	if len(names) <= most {
		return ""
	}
	slices.Sort(names)
	return fmt.Sprintf("package %s exports %d types and functions, and may %d: %s", path, len(names), most, strings.Join(names, ", "))
}

func TestTopLevelIsFixed(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for _, name := range strangers(names) {
		t.Errorf("%s lies at the top level, which is fixed; nest it, or change the design first", name)
	}
}

// checkLayers compares packages with the table.
func checkLayers(pkgs []pkg) []string {
	var problems []string
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, p := range pkgs {
		if matches(p.ImportPath, helpers) {
			continue
		}
		rule, known := layers[p.ImportPath]
		if !known {
			report("package %s has no row in the import table", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			if rel, ours := strings.CutPrefix(i, module+"/"); ours && (matches(rel, helpers) || !matches(rel, rule.may)) {
				report("package %s must not import %s", p.ImportPath, rel)
			}
			for library, packages := range homes {
				if matches(i, []string{library}) && !slices.Contains(packages, p.ImportPath) {
					report("package %s must not import %s: only %s may", p.ImportPath, i, strings.Join(packages, ", "))
				}
			}
		}
		for _, d := range p.Deps {
			if matches(strings.TrimPrefix(d, module+"/"), rule.never) {
				report("package %s must never reach %s", p.ImportPath, d)
			}
		}
	}
	slices.Sort(problems)
	return problems
}

// strangers are the names that have no place at the top level. Hidden ones and
// what .gitignore leaves out do no harm.
func strangers(names []string) []string {
	var unknown []string
	for _, name := range names {
		ignored := name == "bin" || name == "kubeferry" || slices.Contains([]string{".test", ".prof", ".partial"}, filepath.Ext(name))
		if !strings.HasPrefix(name, ".") && !ignored && !slices.Contains(topLevel, name) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// matches tells whether path is one of the words, or below one that ends in
// "/...".
func matches(path string, words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool {
		root, tree := strings.CutSuffix(word, "/...")
		return path == root || (tree && strings.HasPrefix(path, root+"/"))
	})
}

func TestTheCheckersSeeWhatIsWrong(t *testing.T) {
	ours := func(path string) string { return module + "/" + path }
	for name, test := range map[string]struct {
		pkg  pkg
		want []string
	}{
		"an import that the table allows": {
			pkg{ImportPath: "archive", Imports: []string{ours("etcdwalk"), "github.com/klauspost/compress/zstd"}}, nil,
		},
		"a package without a row": {
			pkg{ImportPath: "util"}, []string{"package util has no row in the import table"},
		},
		"an import upwards": {
			pkg{ImportPath: "etcdwalk", Imports: []string{ours("archive")}}, []string{"package etcdwalk must not import archive"},
		},
		"test helpers in the product": {
			pkg{ImportPath: "cmd", Imports: []string{ours("etcdwalk/walktest")}}, []string{"package cmd must not import etcdwalk/walktest"},
		},
		"a library outside its home": {
			pkg{ImportPath: "archive", Imports: []string{"filippo.io/age/armor"}}, []string{"package archive must not import filippo.io/age/armor: only crypt may"},
		},
		"a library far down": {
			pkg{ImportPath: "cmd/ferry", Deps: []string{"github.com/spf13/cobra"}}, []string{"package cmd/ferry must never reach github.com/spf13/cobra"},
		},
		"our own package far down": {
			pkg{ImportPath: "remote/catalog", Deps: []string{ours("archive/strictjson"), ours("archive")}}, []string{"package remote/catalog must never reach " + ours("archive")},
		},
		"testing in the product": {
			pkg{ImportPath: ".", Imports: []string{ours("cmd")}, Deps: []string{"testing"}}, []string{"package . must never reach testing"},
		},
		"test helpers may import anything": {
			pkg{ImportPath: "etcdwalk/walktest", Imports: []string{ours("etcdwalk/replay"), "testing"}, Deps: []string{"testing"}}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, checkLayers([]pkg{test.pkg})); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheCheckersSeeTooMuch(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "a.go", "package a\ntype (A int; b int)\nfunc C() {}\nfunc (A) D() {}\nconst E = 1\nvar ErrF error", 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"A", "C"}, exported(file)); diff != "" {
		t.Errorf("exported (-want +got):\n%s", diff)
	}
	many := strings.Split(strings.Repeat("X ", exports+1), " ")[:exports+1]
	if checkExports("archive", many) == "" || checkExports("archive", many[1:]) != "" || checkExports("etcdwalk", many) != "" {
		t.Error("the budget is not what the table says")
	}
}

func TestTheCheckersSeeTheWrongFile(t *testing.T) {
	for text, want := range map[string]int{
		strings.Repeat("\n", commandLines):                  0,
		strings.Repeat("\n", commandLines+1):                1,
		"s.Result = map[string]any{}":                       1,
		"s.Result = map[string]string{\"help\": \"\"}":      1,
		"names := map[string]string{\"daily\": \"days\"}\n": 0,
	} {
		if got := checkCommand("cmd", text); len(got) != want {
			t.Errorf("%q: got %q, want %d problems", text, got, want)
		}
	}
	if diff := cmp.Diff([]string{"util"}, strangers([]string{".git", "bin", "cmd", "util", "cmd.test"})); diff != "" {
		t.Errorf("strangers at the top level (-want +got):\n%s", diff)
	}
}

// listPackages asks the go tool for the packages of the module.
func listPackages(t *testing.T) []pkg {
	t.Helper()
	var stderr bytes.Buffer
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Doc,GoFiles,Imports,Deps", "./...")
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("reading what go list says: %v", err)
		}
		if p.ImportPath = strings.TrimPrefix(p.ImportPath, module+"/"); p.ImportPath == module {
			p.ImportPath = "."
		}
		pkgs = append(pkgs, p)
	}
}

// importsByFile tells what each file of p imports.
func importsByFile(t *testing.T, p pkg) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	for _, name := range p.GoFiles {
		for _, spec := range parse(t, filepath.Join(p.Dir, name), parser.ImportsOnly).Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s imports %s: %v", name, spec.Path.Value, err)
			}
			files[name] = append(files[name], path)
		}
	}
	return files
}

func parse(t *testing.T, path string, mode parser.Mode) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, mode)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
