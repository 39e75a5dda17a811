package scantest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// Program makes an ELF program of bytes: without sections, as a stripped one, with
// a dynamic section that names the libraries that it needs and, if soname is not
// empty, what it is called itself.
func Program(content []byte, needs []string, soname string) []byte {
	const address, headers = 0x400000, 64 + 2*56
	names := []byte{0}
	var dynamic []elf.Dyn64
	add := func(tag elf.DynTag, name string) {
		dynamic = append(dynamic, elf.Dyn64{Tag: int64(tag), Val: uint64(len(names))})
		names = append(append(names, name...), 0)
	}
	for _, n := range needs {
		add(elf.DT_NEEDED, n)
	}
	if soname != "" {
		add(elf.DT_SONAME, soname)
	}
	size := uint64(len(dynamic)+3) * 16
	dynamic = append(dynamic,
		elf.Dyn64{Tag: int64(elf.DT_STRTAB), Val: address + headers + size},
		elf.Dyn64{Tag: int64(elf.DT_STRSZ), Val: uint64(len(names))},
		elf.Dyn64{Tag: int64(elf.DT_NULL)})
	total := headers + size + uint64(len(names)) + 16 + uint64(len(content)) + 16
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) } // a buffer does not fail
	put(elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 2,
	})
	put(elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Vaddr: address, Filesz: total, Memsz: total})
	put(elf.Prog64{Type: uint32(elf.PT_DYNAMIC), Flags: uint32(elf.PF_R), Off: headers, Vaddr: address + headers, Filesz: size, Memsz: size})
	put(dynamic)
	b.Write(names)
	b.Write(make([]byte, 16))
	b.Write(content)
	b.Write(make([]byte, 16))
	return b.Bytes()
}
