"""The words of docs/results/acquisition.md; its numbers are made of what was measured."""

INTRO = """\
# Does it pay to ask for the right points?

Runs by every policy on maps whose truth is known, beside coarse grids, classical reconstruction and gpCAM. First pass,
registration, reconstruction, proposals and batches are those of a real run, played by `grainloop bench acquire`; the
simulated instrument charges its declared times (20 ms per point, travel, settling, start of a batch, 36 s for the PL
images). The first pass counts. Points are exact unless said otherwise; PL is exact optics with 15 % noise, 15 %
shading, 0.7 % dust and 3 px rms misregistration. Given is the share of *all* pixels, measured ones included, that are
off by more than 5°, in %, as mean ± standard deviation over seeds, with their number in brackets. Seeds vary the PL
images and the choices of the policies; the two real maps never change. They were used neither for training nor to
choose the policy; that was done on synthetic specimens.

`python -m benchmarks.acquisition.policies` measures what is missing, `python -m benchmarks.acquisition.gpcam_rival`
lets gpCAM play, `python -m benchmarks.acquisition.oracle` a policy that knows the truth, and
`python -m benchmarks.acquisition.page` makes this page.
"""
TARGETS = """\
*Prototype* is what was known to be possible before this package was written; *FAST* is Fast Autonomous Scanning
Toolkit, its points filled by nearest neighbour (measured then at 5, 10 and 25 %). *25 % grid + nearest* is today's
practice.
"""
NEEDED = """\
Points that each way needs for the same share of wrong pixels, read off the curves above (straight lines between
measured budgets on logarithmic axes). *Best static pattern* is the best of regular grid, grid from coarse to fine, blue
noise and random points, with the same reconstruction as the adaptive run: what is left of the gain is that of asking
for the right points. *gpCAM, own* is the best of its two acquisition functions and of its expectation and nearest
neighbour. `>` means that it had not got there where it was played no further: grids to 50 % of the pixels, gpCAM to
10 %.
"""
CEILING = """\
### What could be gained at all

The same runs by an *oracle*, which knows which pixels of the latest map are wrong and asks where most of them are, by
the same rules: same first pass, same batches, decisions that do not know the newest batch. *Of the way* is how much of
its gain over the static grid the default policy reaches without knowing; the last column is how many times fewer points
the oracle itself needs than the best static pattern.
"""
NEVER_WORSE = """\
Wrong pixels of the default policy against those of the static grid of the same budget and reconstruction, in percent
of the latter: −50 is half as many. ± is the standard error over pairs of the same seed; bold is worse than the grid by
more than 2 %.
"""
LIGHT = """\
Without PL, and with PL images of another section (the map turned by 180°). The latter are refused by the registration,
so that both runs are the same to the last point. The grid then is the same for every seed:
"""
BATCHES = """\
Size of batches, on unseen synthetic specimens of 64 × 64 px, where decisions on every single point can be played. 1 %
of such a map are 41 points: too few to choose, all of them are the grid, and so are all 82 of 2 % without PL. Batches
of one point, budgets of 20 and 50 %, and PL of another section were played on fewer specimens (no ± where on one):
"""
POLICIES = """\
The same runs by each policy. All of them have the same first pass and reconstruction; what
[each asks for](../acquire.md#policies) differs. `grid`, `bluenoise` and `random` do not look at the data.
"""
SYNTHETIC = """\
On unseen synthetic specimens of 128 × 128 px, wrong pixels against the static grid in percent, ± standard error over
specimens:
"""
GPCAM = """\
gpCAM 8.6.1 runs as a process of its own, in an environment of its own, and plays the same runs: same first pass, same
number and size of batches, same instrument, decisions that do not know the newest batch. It is told the 18 channels of
the embedding of orientations, in which distances are angles, as independent outputs of one Gaussian process (Matérn
3/2, one length scale per direction, trained by likelihood on 400 points at first and whenever the points have doubled):
a single channel or the misorientation to a reference would tell it less. One Gaussian process with a common kernel for
all channels costs one matrix; one for each channel would cost 18 and has 18 sets of length scales to learn from the
same grains. So that it is not held back by its batches, of which nearly all points would touch, candidates are 1,024
free pixels drawn anew in each of four rounds per batch, picks keep half of the mean spacing from each other, and after
each round it is told what it expects at its own picks. *Variance* is its default; *gradient* is its acquisition
function for steep places, summed over the channels. It has no place for PL. Its own maps are its expectation, decoded,
and, because grains have edges and Gaussian processes do not, nearest neighbour of its points.

It is fast enough for 10 % of these maps; its matrices hold the square of the number of points and its time grows with
up to the third power of it, which is why it was not played further.

`python -m venv gpcam-env; gpcam-env/bin/pip install gpcam==8.6.1` makes the environment, and `python -m
benchmarks.acquisition.gpcam_rival --python gpcam-env/bin/python` plays.
"""
CLASSICAL = """\
Our classical reconstructors on the static grid, and what adaptive points are worth to the best of them:
"""
NOISE = """\
Points with the default noise of the instrument: 0.3° rms, patterns of the neighbour beside boundaries, 0.2 % lost
points and 15 % more at boundaries, 0.6 % mis-indexed ones, and a beam that drifts.
"""
QUEUED = """\
In a run the instrument never waits: a decision does not know the batch that is being measured. If it waited, the share
of wrong pixels would change by so many percent:
"""
DECISIONS = """\
No policy but `segments`, which asks for neighbours in small regions of PL, and `random` asks for points that touch. The
time of a decision is registration, reconstruction, proposals and route. It was taken while the computer was busy with
other work, more in some runs than in others: an upper bound, and no comparison of policies.
"""
SIZES = """\
By size, synthetic specimens, 5 % of the pixels. Processor time is that of one core from one decision to the next, which
counts the simulation and the comparison with the truth as well:
"""
ASIDE = """\
How long a scan takes with all of this, and where a full raster is quicker, says [`grainloop plan`](../plan.md). Points,
lines and rectangles are compared on [a page of their own](shapes.md). Why `spread` is the default:
[decision 13](../decisions/0013-where-to-ask-next.md).
"""
