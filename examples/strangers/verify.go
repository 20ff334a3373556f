// Verifies a copy of a log with the code that verifies Go's own checksum database (README.md).
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

// tiles reads tiles of height 8 from a folder; their paths in the log do not name the height.
type tiles string

func (folder tiles) Height() int                     { return 8 }
func (folder tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (folder tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		found = append(found, read(filepath.Join(string(folder), path)))
	}
	return found, nil
}

func main() {
	if len(os.Args) < 3 {
		fail("usage: verify FOLDER VERIFIER_KEY [KEPT_CHECKPOINT...]")
	}
	folder, key := os.Args[1], os.Args[2]
	verifier, err := note.NewVerifier(key)
	must(err)
	tree := open(filepath.Join(folder, "checkpoint"), verifier)
	reader := tlog.TileHashReader(tree, tiles(folder))

	for first := int64(0); first < tree.N; first += width {
		entries := bundle(folder, first, tree.N)
		var places []int64
		for at := range entries {
			places = append(places, tlog.StoredHashIndex(0, first+int64(at)))
		}
		proven, err := reader.ReadHashes(places)
		must(err)
		for at, entry := range entries {
			if tlog.RecordHash(entry) != proven[at] {
				fail("entry %d is not the one that the tree has", first+int64(at))
			}
		}
		proof, err := tlog.ProveRecord(tree.N, first, reader)
		must(err)
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, first, tlog.RecordHash(entries[0])))
	}
	for _, path := range os.Args[3:] {
		kept := open(path, verifier)
		proof, err := tlog.ProveTree(tree.N, kept.N, reader)
		must(err)
		must(tlog.CheckTree(proof, tree.N, tree.Hash, kept.N, kept.Hash))
	}
	fmt.Printf("%d entries of %s are verified\n", tree.N, verifier.Name())
}

// open returns the size and the root of a checkpoint that the log signed.
func open(path string, verifier note.Verifier) tlog.Tree {
	signed, err := note.Open(read(path), note.VerifierList(verifier))
	must(err)
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		fail("%s is not a checkpoint of %s", path, verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	return tlog.Tree{N: size, Hash: root}
}

// bundle returns the entries from the one at first to the end of its bundle.
func bundle(folder string, first, size int64) [][]byte {
	tile := tlog.Tile{H: 8, L: 0, N: first / width, W: width}
	if size-first < width {
		tile.W = int(size - first)
	}
	path := "tile/entries/" + strings.TrimPrefix(tile.Path(), "tile/8/0/")
	data := read(filepath.Join(folder, path))
	var entries [][]byte
	for len(entries) < tile.W {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			fail("%s ends within an entry", path)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:end])
		data = data[end:]
	}
	if len(data) > 0 {
		fail("%s has more than its entries", path)
	}
	return entries
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	must(err)
	return data
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(form string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "not verified: "+form+"\n", arguments...)
	os.Exit(1)
}
