package main

import (
	"bytes"
	"compress/zlib"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A copied file is one of a Debian package that lies in the image under another
// name, without a record.
type copied struct {
	pkg, file string // a glob
	product   string
	as        string   // in opt/vendor
	also      []string // "product version": what is built in, too, as its exported symbols show
}

// vendor are programs and libraries as somebody unpacks or renames them.
var vendor = []copied{
	{"redis-server", "usr/bin/redis-server", "", "", nil}, // a link
	{"redis-tools", "usr/bin/redis-check-rdb", "redis", "cache-engine", []string{"lua 5.1.5"}},
	{"nginx", "usr/sbin/nginx", "nginx", "frontd", nil},
	{"haproxy", "usr/sbin/haproxy", "haproxy", "balance", nil},
	{"mosquitto", "usr/sbin/mosquitto", "mosquitto", "mq", []string{"libwebsockets 4.1.6"}}, //nolint:misspell // its name
	{"dnsmasq-base", "usr/sbin/dnsmasq", "dnsmasq", "names", nil},
	{"curl", "usr/bin/curl", "curl", "fetch", nil},
	{"libcurl4", "usr/lib/*/libcurl.so.4.*", "curl", "libfetch.so", nil},
	{"lua5.3", "usr/bin/lua5.3", "lua", "script", nil},
	{"dropbear-bin", "usr/sbin/dropbear", "dropbear", "shelld", nil},
	{"postgresql-15", "usr/lib/postgresql/15/bin/postgres", "postgresql", "db", nil},
	{"memcached", "usr/bin/memcached", "memcached", "memo", nil},
	{"libexpat1", "lib/*/libexpat.so.1.*", "expat", "libx.so", nil},
	{"libsqlite3-0", "usr/lib/*/libsqlite3.so.0.*", "sqlite", "libs.so", nil},
	{"libssl3", "usr/lib/*/libcrypto.so.3", "openssl", "libc1.so", nil},
	{"zlib1g", "lib/*/libz.so.1.*", "zlib", "libz0.so", nil},
	{"busybox-static", "bin/busybox", "busybox", "bb", nil},
	{"libxml2", "usr/lib/*/libxml2.so.2.*", "libxml2", "libm.so", nil},
	{"libpng16-16", "usr/lib/*/libpng16.so.16.*", "libpng", "libpic.so", nil},
	{"libtiff6", "usr/lib/*/libtiff.so.6.*", "libtiff", "libpic2.so", nil},
	{"libfreetype6", "usr/lib/*/libfreetype.so.6.*", "freetype", "libletters.so", nil},
	{"libpcre2-8-0", "usr/lib/*/libpcre2-8.so.0.*", "pcre2", "libr.so", nil},
	{"libgnutls30", "usr/lib/*/libgnutls.so.30.*", "gnutls", "libtls.so", nil},
	{"libarchive13", "usr/lib/*/libarchive.so.13.*", "libarchive", "liba.so", nil},
	{"openssh-server", "usr/sbin/sshd", "openssh", "remote", nil},
	{"git", "usr/bin/git", "git", "history", nil},
	{"bash", "bin/bash", "bash", "prompt", nil},
	{"unbound", "usr/sbin/unbound", "unbound", "resolver", nil},
	{"rsync", "usr/bin/rsync", "rsync", "mirror", nil},
	{"libzstd1", "usr/lib/*/libzstd.so.1.*", "zstd", "libq.so", nil},
	{"apache2-bin", "usr/sbin/apache2", "httpd", "web", nil},
	{"libperl5.36", "usr/lib/*/libperl.so.5.36.*", "perl", "libp.so", nil},
	{"libpython3.11", "usr/lib/*/libpython3.11.so.1.0", "python", "libpy.so", nil},
	{"gpg", "usr/bin/gpg", "gnupg", "privacy", nil},
}

// modern are those of a later release of Debian.
var modern = []copied{
	{"tmux", "usr/bin/tmux", "tmux", "panes", nil},
	{"wget", "usr/bin/wget", "wget", "getter", nil},
	{"nmap", "usr/bin/nmap", "nmap", "chart", nil},
	{"socat", "usr/bin/socat1", "socat", "pipe", nil},
	{"ethtool", "usr/sbin/ethtool", "ethtool", "nic", nil},
	{"findutils", "usr/bin/find", "findutils", "seek", nil},
	{"grep", "usr/bin/grep", "grep", "match", nil},
	{"sed", "usr/bin/sed", "sed", "edit", nil},
	{"tar", "usr/bin/tar", "tar", "pack", nil},
	{"make", "usr/bin/make", "make", "build", nil},
	{"ninja-build", "usr/bin/ninja", "ninja", "assassin", nil},
	{"postfix", "usr/lib/postfix/sbin/master", "postfix", "post", nil},
	{"libssl3t64", "usr/lib/*/libcrypto.so.3", "openssl", "libc3.so", nil},
	{"libcurl4t64", "usr/lib/*/libcurl.so.4.*", "curl", "libfetch4.so", nil},
	{"libsqlite3-0", "usr/lib/*/libsqlite3.so.0.8.6", "sqlite", "libs3.so", nil},
	{"libgnutls30t64", "usr/lib/*/libgnutls.so.30.*", "gnutls", "libtls30.so", nil},
	{"libgcrypt20", "usr/lib/*/libgcrypt.so.20.*", "libgcrypt", "libgc.so", nil},
	{"libexpat1", "usr/lib/*/libexpat.so.1.*", "expat", "libx1.so", nil},
	{"libpng16-16t64", "usr/lib/*/libpng16.so.16.*", "libpng", "libpic16.so", nil},
	{"libtiff6", "usr/lib/*/libtiff.so.6.*", "libtiff", "libpic6.so", nil},
	{"libnghttp2-14", "usr/lib/*/libnghttp2.so.14.*", "nghttp2", "libh2.so", nil},
	{"libssh2-1t64", "usr/lib/*/libssh2.so.1.*", "libssh2", "libssh1.so", nil},
	{"libxslt1.1", "usr/lib/*/libxslt.so.1.*", "libxslt", "libsheet.so", nil},
	{"libharfbuzz0b", "usr/lib/*/libharfbuzz.so.0.*", "harfbuzz", "libshape.so", nil},
	{"libde265-0", "usr/lib/*/libde265.so.0.*", "libde265", "libvideo.so", nil},
	{"libmicrohttpd12t64", "usr/lib/*/libmicrohttpd.so.12.*", "libmicrohttpd", "libtiny.so", nil},
	{"liblz4-1", "usr/lib/*/liblz4.so.1.*", "lz4", "libq4.so", nil},
	{"zlib1g", "usr/lib/*/libz.so.1.*", "zlib", "libz1.so", nil},
}

// knownVendor makes the layer of copied files.
func (b *builder) knownVendor(ctx context.Context, f *facts) ([]layer, error) {
	return b.copies(ctx, f, "security", "vendor", vendor)
}

// knownModern makes one of those of a later release, for which fewer of the
// patterns were written.
func (b *builder) knownModern(ctx context.Context, f *facts) ([]layer, error) {
	return b.copies(ctx, f, "next", "modern", modern)
}

// copies makes the layer of a list, in opt/folder, out of an archive's packages.
func (b *builder) copies(ctx context.Context, f *facts, archive, folder string, list []copied) ([]layer, error) {
	root, err := b.root(ctx, archive)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range list {
		names = append(names, c.pkg)
	}
	packages, err := root.Find(ctx, names...)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.cache, "work-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := root.Unpack(ctx, packages, dir); err != nil {
		return nil, err
	}
	db, err := b.records(ctx, root, packages)
	if err != nil {
		return nil, err
	}
	version := map[string]string{}
	for i := range db.records {
		version[db.records[i].field("Package")] = upstream(db.records[i].field("Version"))
	}
	for _, c := range list {
		if c.product == "" {
			continue
		}
		at := "opt/" + folder + "/" + c.as
		f.add(fact{"native", c.product, version[c.pkg], at})
		for _, more := range c.also {
			product, v, _ := strings.Cut(more, " ")
			f.add(fact{"native", product, v, at})
		}
	}
	l, err := b.layout.once(keyOf("known "+folder, fmt.Sprint(packages, list)), "COPY "+folder+" /opt/"+folder, func(t *tree) error {
		for _, c := range list {
			if c.product == "" {
				continue
			}
			content, err := contentOf(dir, place(c.file))
			if err != nil {
				return fmt.Errorf("%s: %w", c.pkg, err)
			}
			if err := t.file("opt/"+folder+"/"+c.as, 0o755, string(content)); err != nil {
				return err
			}
		}
		return nil
	})
	return []layer{l}, err
}

// gateway is a program that holds five libraries.
const gateway = `#include <stdio.h>
#include <expat.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <png.h>
#include <sqlite3.h>
#include <zlib.h>
int main(void) {
	unsigned char digest[64]; unsigned n = 0; sqlite3 *db = 0; z_stream z = {0};
	EVP_Digest("x", 1, digest, &n, EVP_sha256(), 0);
	sqlite3_open(":memory:", &db); sqlite3_exec(db, "select 1", 0, 0, 0);
	deflateInit(&z, 1); inflateInit(&z);
	XML_Parser p = XML_ParserCreate(0);
	png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, 0, 0, 0);
	printf("%s %p %p %d %s\n", OpenSSL_version(0), (void *)p, (void *)png, digest[0], png_get_copyright(png));
	return 0;
}
`

// courier holds libraries of which it prints nothing; what it does not call is
// left out of it.
const courier = `#include <expat.h>
#include <lauxlib.h>
#include <lz4.h>
#include <openssl/ssl.h>
int main(int n, char **v) {
	char out[64];
	SSL *s = SSL_new(SSL_CTX_new(TLS_client_method()));
	return SSL_connect(s) + LZ4_compress_default(v[0], out, 8, 64) + luaL_loadstring(luaL_newstate(), v[0]) + XML_Parse(XML_ParserCreate(0), v[0], 1, n);
}
`

// A linked program is static, stripped, and built of libraries of Debian's.
type linked struct {
	name, source string
	products     map[string]string // by the packages to build with
	args         []string          // of the compiler
}

var programs = []linked{
	{
		"gateway", gateway,
		map[string]string{"libssl-dev": "openssl", "zlib1g-dev": "zlib", "libexpat1-dev": "expat", "libpng-dev": "libpng", "libsqlite3-dev": "sqlite"},
		[]string{"-O1", "-lsqlite3", "-lpng16", "-lexpat", "-lssl", "-lcrypto", "-lz", "-lm", "-ldl", "-lpthread"},
	},
	{
		"courier", courier,
		map[string]string{"libssl-dev": "openssl", "liblz4-dev": "lz4", "liblua5.4-dev": "lua", "libexpat1-dev": "expat"},
		[]string{"-O2", "-ffunction-sections", "-Wl,--gc-sections", "-llz4", "-llua5.4", "-lexpat", "-lssl", "-lcrypto", "-lm", "-ldl", "-lpthread"},
	},
}

// knownStatic makes the layers of static C programs, built with the machine's
// compiler.
func (b *builder) knownStatic(ctx context.Context, f *facts) (all []layer, err error) {
	for _, p := range programs {
		l, err := b.linked(ctx, f, p)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func (b *builder) linked(ctx context.Context, f *facts, p linked) (layer, error) {
	root, err := b.root(ctx, "security")
	if err != nil {
		return layer{}, err
	}
	names := keys(p.products)
	slices.Sort(names)
	packages, err := root.Find(ctx, names...)
	if err != nil {
		return layer{}, err
	}
	db, err := b.records(ctx, root, packages)
	if err != nil {
		return layer{}, err
	}
	for i := range db.records {
		r := &db.records[i]
		f.add(fact{"native", p.products[r.field("Package")], upstream(r.field("Version")), "usr/local/bin/" + p.name})
	}
	return b.layout.once(keyOf("known static", p.source, fmt.Sprint(p.args, packages)), "COPY "+p.name+" /usr/local/bin/"+p.name, func(t *tree) error {
		dir, err := os.MkdirTemp(b.cache, "work-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := root.Unpack(ctx, packages, dir); err != nil {
			return err
		}
		if err := p.compile(ctx, dir); err != nil {
			return err
		}
		return t.folder(filepath.Join(dir, "out"), "usr/local/bin")
	})
}

// compile builds the program with the packages in dir, into dir/out.
func (p *linked) compile(ctx context.Context, dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "main.c"), []byte(p.source), 0o600); err != nil {
		return err
	}
	lib, err := filepath.Glob(filepath.Join(dir, "usr/lib/*-linux-gnu"))
	if err != nil || len(lib) != 1 {
		return fmt.Errorf("no folder of libraries in the packages (%w)", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o755); err != nil {
		return err
	}
	include := dir + "/usr/include"
	args := []string{"-static", "-s", "-I" + include, "-I" + include + "/" + filepath.Base(lib[0]), "-I" + include + "/lua5.4", "-L" + lib[0], "-o", "out/" + p.name, "main.c"}
	return command(ctx, dir, nil, "cc", append(args, p.args...)...)
}

// knownNotes makes the layer of programs that carry an inventory: one as
// cargo-auditable writes it, one with a package's note, and a .NET application.
func (b *builder) knownNotes(ctx context.Context, f *facts) ([]layer, error) {
	f.add(
		fact{"package", "pkg:cargo/fleet-probe", "0.3.0", ""}, fact{"package", "pkg:cargo/time", "0.1.44", ""}, fact{"package", "pkg:cargo/tokio", "1.8.0", ""},
		fact{"package", "pkg:nuget/Newtonsoft.Json", "12.0.1", ""}, fact{"package", "pkg:nuget/System.Text.Encodings.Web", "4.5.0", ""}, fact{"package", "pkg:nuget/Harbour", "2.1.0", ""},
		fact{"package", "pkg:rpm/fedora/demonote", "1.2.3-4", ""},
	)
	l, err := b.layout.once(keyOf("known notes", auditable, note, deps), "COPY probe demonote harbour /opt/fleet/", func(t *tree) error {
		dir, err := os.MkdirTemp(b.cache, "work-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		var packed bytes.Buffer
		z := zlib.NewWriter(&packed)
		if _, err := z.Write([]byte(auditable)); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		for name, content := range map[string][]byte{"main.c": []byte("int main(void) { return 0; }\n"), "dep": packed.Bytes(), "note": elfNote(note)} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				return err
			}
		}
		for _, args := range [][]string{
			{"cc", "-O1", "-s", "-o", "plain", "main.c"},
			{"objcopy", "--add-section", ".dep-v0=dep", "plain", "probe"},
			{"objcopy", "--add-section", ".note.package=note", "plain", "demonote"},
		} {
			if err := command(ctx, dir, nil, args[0], args[1:]...); err != nil {
				return err
			}
		}
		for _, name := range []string{"probe", "demonote"} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			if err := t.file("opt/fleet/"+name, 0o755, string(content)); err != nil {
				return err
			}
		}
		return t.file("opt/fleet/Harbour.deps.json", 0o644, deps)
	})
	return []layer{l}, err
}

const (
	auditable = `{"packages":[{"name":"fleet-probe","version":"0.3.0","source":"local","dependencies":[1,2],"root":true},{"name":"time","version":"0.1.44","source":"crates.io"},{"name":"tokio","version":"1.8.0","source":"crates.io"}]}`
	note      = `{"type":"rpm","os":"fedora","osVersion":"40","name":"demonote","version":"1.2.3-4","architecture":"x86_64"}`
	deps      = `{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0"},"targets":{".NETCoreApp,Version=v8.0":{"Harbour/2.1.0":{"dependencies":{"Newtonsoft.Json":"12.0.1","System.Text.Encodings.Web":"4.5.0"},"runtime":{"Harbour.dll":{}}},"Newtonsoft.Json/12.0.1":{"runtime":{"lib/netstandard2.0/Newtonsoft.Json.dll":{"assemblyVersion":"12.0.0.0","fileVersion":"12.0.1.22727"}}},"System.Text.Encodings.Web/4.5.0":{"runtime":{"lib/netstandard2.0/System.Text.Encodings.Web.dll":{}}}}},"libraries":{"Harbour/2.1.0":{"type":"project","serviceable":false,"sha512":""},"Newtonsoft.Json/12.0.1":{"type":"package","serviceable":true,"sha512":"sha512-pBR3wCgYWZGiaZDYP+HHYnalVnPJlpP1q55qvVb+adrDHmFMDc1NAKio61xTwftK3Pw5h7TZJPJEEVMd6ty8rg==","path":"newtonsoft.json/12.0.1"},"System.Text.Encodings.Web/4.5.0":{"type":"package","serviceable":true,"sha512":"","path":"system.text.encodings.web/4.5.0"}}}`
)

// elfNote wraps text as an ELF note of the owner FDO (systemd, ELF package
// metadata: type 0xcafe1a7e).
func elfNote(text string) []byte {
	pad := func(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }
	body := pad(append([]byte(text), 0))
	out := []byte{4, 0, 0, 0}
	n := len(text) + 1
	out = append(out, byte(n), byte(n>>8), 0, 0, 0x7e, 0x1a, 0xfe, 0xca)
	return append(append(out, "FDO\x00"...), body...)
}
