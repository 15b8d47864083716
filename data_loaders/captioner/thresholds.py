"""What the captioner takes for what: one table of thresholds, with units and where each comes from.

Lengths in metres, speeds in metres a second are those of an adult of `LEG` metres from hip to ankle, and scale with the
body (`measures.Body.size`); angles are degrees, times seconds. A pair is (begins, ends): a state begins above the first
and lasts until below the second. Where a row names no source, it was read off motion capture seen by eye.
"""

LEG = 0.82  # thigh and shin of SMPL's mean person
TRUNK = 0.51  # pelvis to neck of the same

# Smoothing, standard deviation of a Gaussian.
SMOOTH = 0.05  # of every joint: what a generated motion trembles is faster
SMOOTH_PATH = 0.2  # of the root's path and the heading: about half a step, so that a body's sway with each step goes

# Locomotion.
MOVING = (0.3, 0.2)  # speed of the root
MOVE_SECONDS = 0.4  # a move that is shorter is a shift of weight
MOVE_LENGTH = 0.35  # and so is one that goes no further
PAUSE_SECONDS = 0.4  # a stop within a walk that is shorter is none
FROUDE = 0.5  # v^2 / (g leg) above which people run (Alexander 1989); v is passed for a quarter of the time
RUN_SPEED = 1.5  # below which a move is no run whatever the legs do; this and the next by labels: 0.4 % and 2.3 % wrong
RUN_STEPS = 2.5  # steps a second that make a run of a move
RUN_KNEE = 74  # degrees that the more bent knee comes to in a run, 90th percentile; walks come to 65
RUN_FLIGHT = 0.03  # share of frames of a run with both toes in the air
FLIGHT = 0.035  # height of the lower toe above the floor
STEP_LENGTH = 0.12  # that one foot gains on the other
SECTOR = 55  # degrees from ahead up to which a walk goes forward, or from behind backward
DIRECTION_SECONDS = 0.6  # a change of direction that is shorter is none
TURNING = 25  # degrees turned that make a step ahead of a short step to the side
TURNING_SECONDS = 1.2  # short
CIRCLE = 120  # degrees that path and heading turn at least
CIRCLE_RATE = 0.4  # share of its mean rate that the turning keeps
CIRCLE_SHARE = 0.7  # of the time
CIRCLE_SECONDS = 0.5  # deviation of the Gaussian that the rate is smoothed by
TURN_RADIUS = 0.3  # metres; a turn that is tighter is one on the spot
TURN_RATE = (35, 15)  # degrees a second, of the heading
TURN = 40  # degrees
TURN_SECONDS = 0.25
TWIST_SECONDS = 0.8  # within which a trunk that only twists begins to turn back
MARCH_LIFT = 0.06  # metres that one ankle is lifted above the other, of steps on the spot
MARCH_PERIOD = (0.2, 0.9)  # seconds from step to step
MARCH_STEPS = 3

# Posture. Heights of the hips are those over the lower ankle, in lengths of the leg.
LOW = (0.76, 0.84)  # height of the hips below which a person no longer stands (begins below, ends above)
FALL_SPEED = 0.12  # of hips that go down or up, lengths a second
SIT_BEHIND = 0.2  # metres that the trunk is behind the ankles on a chair, whose feet do not carry it
SIT_SPEED = 0.5  # of the root that sits on a chair, at most: who stops in a run leans back too
FLOOR_SEAT = 0.3  # height of hips that sit on the floor or lie
KNEE = 0.16  # metres above the floor that a knee that kneels has at most
SHIN = 0.1  # and above its ankle
THIGH = 0.35  # sine of the angle up to which a thigh is level on a seat
SEAT_UPRIGHT = 0.85  # cosine of the trunk against the vertical on a high seat; a squat leans more
SEAT_BEHIND = 0.08  # metres that the trunk is behind the ankles there
FLAT = 0.5  # cosine of the trunk against the vertical below which it lies
PRONE = 0.3  # cosine between the way the chest looks and straight down above which it looks down
HAND = 0.25  # metres above the floor that a hand that carries has at most
LOW_KNEE = 0.25  # metres above the floor of the lower knee on all fours, at most
AHEAD = 0.45  # or that the trunk is ahead of the ankles, at least
POSTURE_SECONDS = 0.3
PASSING_SECONDS = 0.8  # a posture on the way down or up to another that is shorter belongs to the way
DROP = 0.15  # height that hips lose or gain at least on a way down or up

# Arms. Heights of the wrist above the shoulder are shares of the length of the arm.
ARM_UP = -0.12
ARM_STRAIGHT = 0.92  # length of shoulder to wrist, share of the arm, above which an arm is straight
ARM_STRAIGHT_GAIN = 0.25  # height that counts for a straight arm beyond its wrist's: it is up 68 degrees from hanging
ARM_UP_GOING = 0.05  # walking and running swing bent arms up to here
ARM_SINKS = 0.25  # an arm that was up is so until it is lower than that by this much
ARM_RISE = 0.35  # height that a raise or a lowering gains at least
ARM_SPEED = 0.25  # shares a second below which an arm rests
ARM_OVERHEAD = 0.55
# An arm is at its top within this share of the height that it gained, but at most and at least within these heights.
ARM_TOP = (0.15, 0.3, 0.08)
ARM_HELD = 0.8  # seconds
ARM_SIDE = 45  # degrees from ahead from which an arm is at the side
TOGETHER = 0.4  # seconds that both arms start or end apart at most, for one phase of both
WAVE_SWING = 0.06  # metres that a hand that waves goes to and fro at least
WAVE_PERIOD = (0.2, 1.8)  # seconds of a full cycle, shortest and longest
WAVE_CYCLES = 1.5
WAVE_HEIGHT = -0.3  # of the wrist above the shoulder, share of the arm, at least
WAVE_BELOW = 0.05  # metres that a wrist is below its elbow, at most
WAVE_BREAK = 0.15  # seconds that a hand may be lower
PUNCH_SPEED = 1.1  # metres a second of a wrist away from its shoulder, after smoothing
PUNCH_REACH = 0.85  # length of shoulder to wrist at the end, share of the arm
PUNCH_FROM = 0.72  # and at the beginning, at most
PUNCH_GAIN = 0.2  # and gained
PUNCH_AHEAD = 0.25  # of it, forward
PUNCH_LEVEL = (-0.5, 0.35)  # heights of the wrist above the shoulder at the end, share of the arm
PUNCH_RISE = 0.35  # greatest height gained or lost, share of the arm; an arm thrown up or down is no punch
PUNCH_PAUSE = 1.0  # seconds between punches of one series
PUNCH_AROUND = 0.3  # seconds before and after a punch in which its arm is not raised
PUNCH_BACK = 0.5  # seconds within which the fist comes back

# Legs.
ANKLE = 0.05  # height of an ankle above its toe when the foot stands flat
JUMP_CLEARANCE = 0.06  # height of both feet above the floor
JUMP_SECONDS = (0.14, 1.2)  # in the air, shortest and longest
JUMP_HIPS = 0.85  # height of the hips above the floor that a jump reaches, in lengths of the leg
JUMP_FALL = 4.0  # m/s^2, the mean fall of the root; free fall is 9.81, less after smoothing and by moving limbs
STRIDE = 0.08  # height of the other foot at an end of a flight that goes from one foot to the other
APART = 0.3  # distance by which one ankle is ahead of the other in such a flight
LEAP = 0.25  # clearance that makes a jump of a stride
JUMP_MARGIN = 0.2  # seconds of swinging off and landing that belong to a jump
JUMP_CROUCH = 1.0  # the same where the hips are low, at most
JUMP_LENGTH = 0.3  # below which a jump goes up
HOP_PAUSE = 1.0  # seconds from landing to the next flight of one series
KICK_SPEED = 2.5  # metres a second of an ankle against the pelvis, more than the pelvis' own
KICK_HEIGHT = 0.25  # of the ankle
KICK_STANDS = 0.12  # greatest height of the toe of the other foot, which stands
KICK_HIPS = 0.75  # least height of the hips, of that when standing: who kicks has a straight leg to stand on
KICK_REACH = 0.35  # metres of the ankle from the hip along the floor
BACKSWING = 0.3  # seconds from the swing back to the kick, at most
KICK_PAUSE = 1.0  # between kicks of one series

# Bow.
BOW = (28, 15)  # degrees that the trunk leans forward
BOW_HIPS = 0.82  # height that the hips keep
BOW_SECONDS = (0.5, 7.0)
