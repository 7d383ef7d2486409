#!/bin/bash
# Makes the pictures and sounds in this folder, and pictures.json with what ffprobe and ImageMagick say of them, which the
# tests take for the truth. It needs ffmpeg and ffprobe (5.1, Debian 12), ImageMagick 6, webp and python3. Run twice, it makes
# the same bytes.
# Usage: make-pictures.sh [folder]
set -euo pipefail
cd "${1:-$(dirname "$0")}"
rm -f ./*.{jpg,png,bmp,webp,gif,tiff,psd,jxl,avif,svg,ico,pdf,wav,w64,mp3,mp2,flac,ogg,aac,aiff} pictures.json

size=241x243
scene=(-size $size gradient:tomato-navy)
seen=("${scene[@]}" -alpha set -channel A -evaluate set 50% +channel) # half of it shines through

# picture FILE ARGUMENTS...: one run of ImageMagick, without dates.
picture() {
	local file=$1
	shift
	convert "$@" +set date:create +set date:modify -define png:exclude-chunks=date,time "$file"
}

# sound FILE ARGUMENTS...: one run of ffmpeg. The arguments hold no spaces, so they are split on purpose.
sound() {
	local file=$1
	shift
	# shellcheck disable=SC2068
	ffmpeg -nostdin -hide_banner -loglevel error -y $@ -threads 1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact "$file"
}

# tone [RATE [SECONDS]], changing: for a while it is still, which makes the variable rate vary.
tone() { echo "-f lavfi -i sine=frequency=440:sample_rate=${1:-44100}:duration=${2:-1.5}"; }
changing() { echo "-f lavfi -i aevalsrc=exprs=if(lt(t\\,0.8)\\,0.4*sin(2000*t)*sin(7000*t*t)\\,0):sample_rate=44100:duration=1.6"; }

# patch FILE: runs the python on stdin with d, the file's bytes, and writes d back.
patch() {
	python3 -c "
import struct, sys
name = sys.argv[1]
d = bytearray(open(name, 'rb').read())
$(cat)
open(name, 'wb').write(d)
" "$1"
}

# JPEG
picture baseline.jpg "${scene[@]}" -interlace none
picture progressive.jpg "${scene[@]}" -interlace JPEG
picture grey.jpg "${scene[@]}" -colorspace Gray
picture cmyk.jpg "${scene[@]}" -colorspace CMYK
picture widest.jpg -size 8000x240 xc:navy -quality 20
picture on-its-side.jpg "${scene[@]}" -resize 320x240! # Exif says: shown after a quarter turn
patch on-its-side.jpg <<-'P'
	tiff = b'II*\0\x08\0\0\0' + struct.pack('<H', 2) + struct.pack('<HHII', 0x100, 4, 1, 320) + struct.pack('<HHIHH', 0x112, 3, 1, 6, 0) + bytes(4)
	exif = b'Exif\0\0' + tiff
	d[2:2] = b'\xff\xe1' + struct.pack('>H', 2 + len(exif)) + exif
P
picture upside-down-big-endian.jpg "${scene[@]}" -resize 320x240!
patch upside-down-big-endian.jpg <<-'P'
	exif = b'Exif\0\0' + b'MM\0*\0\0\0\x08' + struct.pack('>H', 1) + struct.pack('>HHIHH', 0x112, 3, 1, 3, 0) + bytes(4)
	d[2:2] = b'\xff\xe1' + struct.pack('>H', 2 + len(exif)) + exif
P
picture long-comment.jpg -size 240x300 xc:white -quality 5
patch long-comment.jpg <<-'P'
	d[2:2] = b'\xff\xfe' + struct.pack('>H', 9002) + b'\xff\xc0' * 4500 + b'\xff' * 9 # and filling
P

# PNG
picture rgb.png "${scene[@]}" -define png:color-type=2
picture rgba.png "${seen[@]}" -define png:color-type=6
picture grey.png "${scene[@]}" -colorspace Gray -define png:color-type=0
picture grey-alpha.png "${seen[@]}" -colorspace Gray -define png:color-type=4
picture palette.png "${scene[@]}" -colors 16 -define png:color-type=3
picture PNG8:palette-transparent.png -size $size xc:none +antialias -fill tomato -draw 'rectangle 20,20 90,90'
picture rgb-transparent.png -size $size xc:none +antialias -fill tomato -draw 'rectangle 20,20 90,90' -define png:color-type=2
picture 16-bits.png "${scene[@]}" -depth 16 -define png:bit-depth=16 -define png:color-type=2
picture 16-bits-alpha.png "${seen[@]}" -depth 16 -define png:bit-depth=16 -define png:color-type=6
picture interlaced.png "${scene[@]}" -interlace PNG -define png:color-type=2
picture widest.png -size 8000x240 xc:navy -type Palette -define png:color-type=3
sound animated.png -f lavfi -i testsrc=size=$size:rate=5:duration=0.4 -f apng -pix_fmt pal8
picture long-text.png "${scene[@]}" -define png:color-type=2
patch long-text.png <<-'P'
	import zlib
	text = b'tEXtComment\0' + b'IDAT tRNS ' * 900
	d[33:33] = struct.pack('>I', len(text) - 4) + text + struct.pack('>I', zlib.crc32(text))
P

# BMP
picture rgb.bmp -size 41x37 gradient:tomato-navy -type TrueColor -define bmp:format=bmp3
picture rgb-v4.bmp -size 41x37 gradient:tomato-navy -type TrueColor
picture core.bmp -size 41x37 gradient:tomato-navy -type TrueColor -define bmp:format=bmp2
picture palette.bmp -size 41x37 gradient:tomato-navy -colors 16 -define bmp:format=bmp3 -compress none
picture run-lengths.bmp -size 301x257 xc:navy -type Palette -compress RLE -define bmp:format=bmp3
picture alpha.bmp -size 41x37 xc:tomato -alpha set -channel A -evaluate set 50% +channel
sound 32-bits.bmp -f lavfi -i testsrc=size=41x37:rate=1:duration=1 -frames:v 1 -pix_fmt bgra # the fourth byte of a plain BMP is none of the colours'
picture top-down.bmp -size 41x37 gradient:tomato-navy -type TrueColor -define bmp:format=bmp3
patch top-down.bmp <<-'P'
	d[22:26] = struct.pack('<i', -37)
P

# WEBP
picture lossy.webp "${scene[@]}" -quality 40
picture lossless.webp "${scene[@]}" -define webp:lossless=true
picture lossy-alpha.webp "${seen[@]}" -quality 40
picture lossless-alpha.webp "${seen[@]}" -define webp:lossless=true
img2webp -loop 0 rgb.png interlaced.png grey.png -o animated.webp >/dev/null 2>&1
head -c 1001 /dev/zero | tr '\0' 'p' >/tmp/profile.$$ # of an odd length
webpmux -set icc /tmp/profile.$$ lossless-alpha.webp -o profile-alpha.webp 2>/dev/null
rm /tmp/profile.$$

# Pictures of other formats
sound animated.gif -f lavfi -i testsrc=size=120x120:rate=5:duration=0.4
sound scan.tiff -f lavfi -i color=navy:size=20x20:rate=1:duration=1 -frames:v 1
sound new.jxl -f lavfi -i color=navy:size=120x120:rate=1:duration=1 -frames:v 1
sound new.avif -f lavfi -i color=navy:size=120x120:rate=1:duration=1 -frames:v 1 -c:v libaom-av1 -still-picture 1 -cpu-used 8
picture layers.psd -size 9x9 xc:navy
picture site.ico -size 32x32 xc:navy
cat >drawing.svg <<-'P'
	<?xml version="1.0" encoding="UTF-8"?>
	<!-- a drawing -->
	<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
	<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300"><circle cx="150" cy="150" r="90"/></svg>
P
printf '%%PDF-1.4\n%%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%%%EOF\n' >page.pdf

# WAV
sound pcm16.wav $(tone 8000 0.377) -c:a pcm_s16le
sound pcm16-stereo.wav $(tone 16000 0.1) -ac 2 -c:a pcm_s16le
sound pcm24.wav $(tone 11025 0.21) -c:a pcm_s24le
sound pcm8.wav $(tone 8000 0.5017) -c:a pcm_u8
sound float.wav $(tone 8000 0.17) -c:a pcm_f32le
sound extensible.wav $(tone 8000 0.05) -af pan=5.1\|c0=c0 -c:a pcm_s16le
sound mulaw.wav $(tone 8000 0.7345) -c:a pcm_mulaw
sound alaw.wav $(tone 8000 0.61) -c:a pcm_alaw
sound adpcm.wav $(tone 11025 1.1) -c:a adpcm_ima_wav
sound adpcm-ms.wav $(tone 11025 1.1) -c:a adpcm_ms
sound titled.wav $(tone 8000 0.4) -c:a pcm_s16le -metadata title=odd
sound rf64.wav $(tone 8000 0.4) -c:a pcm_s16le -rf64 always
sound pipe:1 $(tone 8000 0.41) -c:a pcm_s16le -f wav >streamed.wav
cp pcm8.wav streamed-zero.wav
patch streamed-zero.wav <<-'P'
	d[40:44] = bytes(4)
	del d[44 + 4000:]
P
cp pcm8.wav odd-chunk.wav
patch odd-chunk.wav <<-'P'
	d[12:12] = b'junk' + struct.pack('<I', 5) + b'data\0\0'
P

# MP3
lame="-c:a libmp3lame"
sound cbr.mp3 $(tone) $lame -b:a 48k -id3v2_version 0
sound cbr-stereo.mp3 $(tone 48000 1) -ac 2 $lame -b:a 64k
sound cbr-uncounted.mp3 $(tone 32000) $lame -b:a 40k -write_xing 0 -id3v2_version 0
sound vbr.mp3 $(changing) $lame -q:a 7
sound vbr-uncounted.mp3 $(changing) $lame -q:a 7 -write_xing 0
sound mono-22k.mp3 $(tone 22050 2) $lame -b:a 24k
sound mono-8k.mp3 $(tone 8000 3) $lame -b:a 8k
sound stereo-11k-uncounted.mp3 $(tone 11025 3) -ac 2 $lame -b:a 16k -write_xing 0
sound cover.mp3 $(tone) -i grey.png -map 0 -map 1 -c:v copy -disposition:v attached_pic $lame -b:a 32k -id3v2_version 3 -metadata title=covered
sound id3v1.mp3 $(tone) $lame -b:a 32k -write_id3v1 1 -write_xing 0 -metadata title=old
sound two-tags.mp3 $(tone 16000 1.2) $lame -b:a 16k -metadata title=twice -write_xing 0
patch two-tags.mp3 <<-'P'
	d[0:0] = b'ID3\x04\0\x10' + bytes([0, 0, 1, 72]) + bytes(200) + b'3DI\x04\0\x10' + bytes([0, 0, 1, 72])
	d += b'APETAGEX' + struct.pack('<IIII', 2000, 32, 0, 0x80000000) + bytes(8)
P

# Sounds of other formats
sound free.flac $(tone 8000 0.1)
sound free.ogg $(tone 16000 0.5) -c:a libvorbis -b:a 24k
sound stream.aac $(tone 16000 0.5) -c:a aac -b:a 16k
sound apple.aiff $(tone 8000 0.3)
sound layer2.mp2 $(tone 32000 0.4) -c:a mp2 -b:a 32k
sound wide.w64 $(tone 8000 0.2)

python3 - >pictures.json <<'P'
import json, os, subprocess
def run(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout
def probe(name, what):
    return run('ffprobe', '-v', 'error', '-of', 'default=nw=1:nk=1', '-show_entries', what, name).split()
formats = {'jpg': 'jpeg', 'tiff': 'tiff'}
kinds = {'image': 'jpg png bmp webp gif tiff psd jxl avif svg ico', 'audio': 'wav w64 mp3 mp2 flac ogg aac aiff', '': 'pdf'}
truth = []
for name in sorted(os.listdir('.')):
    end = name.rpartition('.')[2]
    kind = [k for k, ends in kinds.items() if end in ends.split()]
    if not kind:
        continue
    row = {'file': name, 'format': formats.get(end, end), 'kind': kind[0]}
    if end in ('jpg', 'png', 'bmp', 'webp'):
        if name == 'animated.webp': # this ffprobe cannot read it
            width, height = run('identify', '-format', '%W %H ', name).split()[:2]
        else:
            width, height = probe(name, 'stream=width,height')[:2]
        row['width'], row['height'] = int(width), int(height)
        alpha, turn = run('identify', '-format', '%A %[orientation] ', name).split()[:2]
        row['alpha'] = alpha != 'False'
        if turn in ('LeftTop', 'RightTop', 'RightBottom', 'LeftBottom'): # as shown
            row['width'], row['height'], row['turned'] = row['height'], row['width'], True
    if name == '32-bits.bmp': # both guess by the pixels; its header knows of no alpha
        row['alpha'] = False
    if end in ('wav', 'mp3'):
        row['seconds'] = float(probe(name, 'format=duration')[0])
        # Where nothing counts the frames ffprobe guesses by the bit rate: they are counted one by one instead.
        if end == 'mp3' and ('uncounted' in name or name in ('id3v1.mp3', 'two-tags.mp3')):
            row['seconds'] = round(sum(map(float, probe(name, 'packet=duration_time'))), 6)
    truth.append(row)
print('[\n' + ',\n'.join(json.dumps(r) for r in truth) + '\n]')
P
