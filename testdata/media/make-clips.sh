#!/bin/bash
# Makes the clips in this folder, and clips.json with what ffprobe says of them, which the tests take for the truth.
# It needs ffmpeg and ffprobe (5.1, Debian 12), python3 and jq. Run twice, it makes the same bytes.
# Usage: make-clips.sh [folder]
set -euo pipefail
cd "${1:-$(dirname "$0")}"
rm -f ./*.mp4 ./*.mov ./*.m4a ./*.avi ./*.webm ./*.mkv ./*.3gp clips.json

# A grey picture of 240x240: what is measured is in the headers, and so the files stay small.
grey() { echo "-f lavfi -i color=gray:size=${3:-240x240}:rate=${1:-10}:duration=${2:-2}"; }
tone() { echo "-f lavfi -i sine=frequency=440:sample_rate=16000:duration=${1:-2}"; }
x264="-c:v libx264 -preset veryslow -crf 51 -pix_fmt yuv420p -bsf:v filter_units=remove_types=6"
flat="$x264 -bf 0"
aac="-c:a aac -b:a 8k -ac 1"
quiet="-nostdin -hide_banner -loglevel error -y"
exact="-threads 1 -map_metadata -1 -map_metadata:s -1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact"

# make FILE ARGUMENTS...: one run of ffmpeg. The arguments hold no spaces, so they are split on purpose.
make() {
	local file=$1
	shift
	# shellcheck disable=SC2068
	ffmpeg $quiet $@ $exact "$file"
}

# patch FILE: runs the python on stdin with d, the file's bytes, and writes d back.
patch() {
	python3 -c "
import struct, sys
def box(d, *path):
    'finds the place of a box by its path'
    lo, hi = 0, len(d)
    for kind in path:
        at = lo
        while d[at+4:at+8] != kind.encode():
            at += struct.unpack('>I', d[at:at+4])[0]
            assert at < hi, kind
        lo, hi = at + 8, at + struct.unpack('>I', d[at:at+4])[0]
    return at
def shift(d, by):
    'moves all chunk offsets of the first track'
    at = box(d, 'moov', 'trak', 'mdia', 'minf', 'stbl', 'stco')
    for i in range(struct.unpack('>I', d[at+12:at+16])[0]):
        p = at + 16 + 4*i
        d[p:p+4] = struct.pack('>I', struct.unpack('>I', d[p:p+4])[0] + by)
name = sys.argv[1]
d = bytearray(open(name, 'rb').read())
$(cat)
open(name, 'wb').write(d)
" "$1"
}

# Where the index is.
make moov-last.mp4 $(grey) $(tone) $x264 $aac
make faststart.mp4 $(grey) $(tone) $x264 $aac -movflags +faststart
make free-after-moov.mp4 $(grey) $flat -moov_size 6000
make mdat-64-bits.mp4 $(grey) $flat
patch mdat-64-bits.mp4 <<-'P'
	# ffmpeg leaves a free box of 8 bytes in front for this very purpose
	at = box(d, 'mdat')
	size = struct.unpack('>I', d[at:at+4])[0]
	assert d[at-4:at] == b'free'
	d[at-8:at+8] = struct.pack('>I4sQ', 1, b'mdat', size + 8)
P
make free-in-front.mp4 $(grey) $flat
patch free-in-front.mp4 <<-'P'
	shift(d, 9000)
	at = box(d, 'mdat')
	d[at:at] = struct.pack('>I4s', 9000, b'free') + bytes(8992)
P
make mdat-to-the-end.mp4 $(grey) $flat -movflags +faststart
patch mdat-to-the-end.mp4 <<-'P'
	at = box(d, 'mdat')
	d[at:at+4] = bytes(4)
P

# Fragments.
make frag-keyframe.mp4 $(grey) $flat -g 5 -movflags frag_keyframe+empty_moov
make frag-sound.mp4 $(grey) $(tone 2.3) $flat -g 5 $aac -movflags frag_keyframe+empty_moov
make frag-b-frames.mp4 $(grey 25 2) $x264 -bf 3 -g 10 -movflags frag_keyframe+empty_moov
make frag-every-frame.mp4 $(grey 5) $flat -movflags frag_every_frame+empty_moov
make frag-every-frame-sound.mp4 $(grey 5) $(tone 1.2) $flat $aac -movflags frag_every_frame+empty_moov
make frag-no-mfra.mp4 $(grey) $(tone 1.7) $flat -g 5 $aac -movflags frag_keyframe+empty_moov+skip_trailer
make frag-no-mfra-b-frames.mp4 $(grey 25 2) $x264 -bf 3 -g 10 -movflags frag_keyframe+empty_moov+skip_trailer
make frag-base-moof.mp4 $(grey) $flat -g 5 -movflags frag_keyframe+empty_moov+default_base_moof
make frag-moov-with-samples.mp4 $(grey) $flat -g 5 -movflags frag_keyframe
make frag-delay-moov.mp4 -itsoffset 0.5 $(grey) $(tone) $x264 -g 5 $aac -movflags frag_keyframe+empty_moov+delay_moov
make frag-negative-offsets.mp4 $(grey 25 2) $x264 -bf 3 -g 10 -movflags frag_keyframe+empty_moov+negative_cts_offsets
make dash-global-sidx.mp4 $(grey 25 2.2) $x264 -g 10 -movflags dash+global_sidx+frag_keyframe+empty_moov
make dash-sidx-each.mp4 $(grey 25 2.2) $flat -g 10 -movflags dash+frag_keyframe+empty_moov
make dash-sidx-delay.mp4 $(grey 25 2.2) $x264 -bf 3 -g 10 -movflags dash+frag_keyframe+delay_moov
make dash-no-sidx.mp4 $(grey) $flat -g 5 -movflags dash+skip_sidx+frag_keyframe+empty_moov+skip_trailer
make cmaf.mp4 $(grey 25 2) $flat -g 10 -movflags cmaf+frag_keyframe
make cmaf-negative-offsets.mp4 -itsoffset 0.37 $(grey 24000/1001 1.7) $(tone 1.9) $x264 -bf 3 -g 12 $aac -movflags cmaf+frag_keyframe+skip_trailer
make frag.mov $(grey) $flat -g 5 -movflags frag_keyframe+empty_moov

# QuickTime.
make plain.mov $(grey) $(tone) $flat $aac
make faststart.mov $(grey) $flat -movflags +faststart
make mjpeg-pcm.mov $(grey 2 1 96x96) -f lavfi -i sine=frequency=440:sample_rate=8000:duration=0.6 -c:v mjpeg -q:v 31 -pix_fmt yuvj420p -c:a pcm_s16le -ac 1
make timecode.mov $(grey 25 1) $flat -timecode 01:00:00:00
make old-without-ftyp.mov $(grey) $flat
patch old-without-ftyp.mov <<-'P'
	size = struct.unpack('>I', d[:4])[0]
	shift(d, -size)
	d[:size] = b''
P
make old-moov-first.mov $(grey) $flat -movflags +faststart
patch old-moov-first.mov <<-'P'
	size = struct.unpack('>I', d[:4])[0]
	shift(d, -size)
	d[:size] = b''
P
make hevc.mov $(grey) -c:v libx265 -x265-params log-level=error:info=0:pools=1 -tag:v hvc1 -crf 51 -pix_fmt yuv420p

# Rotated, squeezed and odd sizes.
for turn in 90 180 270; do
	make rotated-$turn.mp4 $(grey 10 1 320x240) $flat
	ffmpeg $quiet -i rotated-$turn.mp4 -c copy $exact -metadata:s:v:0 rotate=$turn turned.mp4
	mv turned.mp4 rotated-$turn.mp4
done
make rotated-90.mov $(grey 10 1 640x360) $flat -movflags +faststart
ffmpeg $quiet -i rotated-90.mov -c copy $exact -metadata:s:v:0 rotate=90 turned.mov
mv turned.mov rotated-90.mov
make anamorphic.mp4 $(grey 10 1 360x288) -vf setsar=16/15 $flat
make size-1920x1080.mp4 $(grey 10 1 1920x1080) $flat
make size-362x242.mp4 $(grey 10 1 362x242) -c:v mpeg4 -q:v 31

# Time.
make audio-late.mp4 $(grey) -itsoffset 0.7 $(tone) $flat $aac
make video-late.mp4 -itsoffset 0.7 $(grey) $(tone) $flat $aac
make video-late-alone.mp4 -itsoffset 0.5 $(grey) $flat
make audio-longer.mp4 $(grey 10 1.5) $(tone 2.25) $flat $aac
make for-cutting.mp4 $(grey 10 3) $(tone 3) $x264 -g 10 -bf 2 $aac
ffmpeg $quiet -ss 1.25 -i for-cutting.mp4 -c copy $exact cut-by-edit-list.mp4
ffmpeg $quiet -ss 0.75 -t 1.31 -i for-cutting.mp4 -c copy $exact cut-both-ends.mov
rm for-cutting.mp4
make length-1.001.mp4 $(grey 30000/1001 1.001) $flat
make length-2.503.mp4 $(grey 1000/2503 2.503) $(tone 2.503) $flat $aac
make length-30.03.mp4 $(grey 1000/1001 30.03) $flat
make length-0.04.mp4 $(grey 25 0.04) $flat
make fps-29.97.mp4 $(grey 30000/1001 2) $x264
make fps-23.976.mp4 $(grey 24000/1001 2) $x264
make track-timescale-90000.mp4 $(grey 10 1.3) $flat -video_track_timescale 90000
make movie-timescale-600.mp4 $(grey 30000/1001 1.5) $flat -movie_timescale 600
make movie-timescale-90000.mp4 $(grey 30000/1001 1.5) $flat -movie_timescale 90000
make b-frames.mp4 $(grey 25 2) $x264 -bf 8 -b_strategy 2
make variable-rate.mp4 $(grey 20 2) -vf select='eq(mod(n\,7)\,0)+eq(mod(n\,5)\,0)' -vsync vfr $flat

# Several tracks, pictures that are attached, sound alone.
make two-video-tracks.mp4 $(grey 10 2 320x180) $(grey 10 1 240x240) -map 0 -map 1 $flat
make no-sound-hevc.mp4 $(grey) -c:v libx265 -x265-params log-level=error:info=0:pools=1 -crf 51 -pix_fmt yuv420p
make cover-art.mp4 $(grey 10 2) $(grey 1 1 64x64) -map 0 -map 1 $flat -c:v:1 mjpeg -pix_fmt:v:1 yuvj420p -bsf:v:1 null -disposition:v:1 attached_pic
make cover-art.m4a $(tone 2) $(grey 1 1 64x64) -map 0 -map 1 $aac -c:v mjpeg -pix_fmt yuvj420p -disposition:v:0 attached_pic
make sound.m4a $(tone 2.5) $aac
make sound-alone.mp4 $(tone 1.2) $aac
make sound-alone-frag.mp4 $(tone 1.2) $aac -movflags frag_keyframe+empty_moov

# What is no MP4 and no MOV.
make refused.avi $(grey 10 1) -c:v mpeg4 -q:v 31
make refused.webm $(grey 10 1) -c:v libvpx -crf 60 -b:v 4k
make refused.mkv $(grey 10 1) $flat
make refused.3gp $(grey 10 1 176x144) $flat

# The truth: of the first picture track that is no attached picture, and of the whole file.
for file in *.mp4 *.mov *.m4a *.avi *.webm *.mkv *.3gp; do
	ffprobe -loglevel error -of json -show_entries format=duration \
		-show_entries stream=codec_type,width,height:stream_disposition=attached_pic:stream_side_data=rotation "$file" |
		jq --arg file "$file" '
			(.format.duration | tonumber) as $duration
			| ([.streams[] | select(.codec_type == "video" and .disposition.attached_pic == 0)][0] // {}) as $v
			| {$file, $duration, width: ($v.width // 0), height: ($v.height // 0),
			   rotation: ([$v.side_data_list[]?.rotation // empty][0] // 0)}'
done | jq --slurp . >clips.json
