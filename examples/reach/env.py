"""Tabletop arm simulation for the "reach" demonstration task (MuJoCo).

A four-joint arm (base yaw, shoulder, elbow, wrist pitch) with a two-finger
gripper stands behind a table with three cubes: red, green and blue. An
instruction names a verb and a colour ("pick up the green cube"); the scene is
random. Two cameras look on: `front` (fixed, opposite the arm) and `wrist`
(on the hand, looking down).

Units: metres, radians, seconds. Control runs at 20 Hz.

    state  float32[5] = yaw, shoulder, elbow, wrist joint positions [rad],
                        gripper half opening [m]
    action float32[5] = position targets of the same five
"""

from __future__ import annotations

import atexit
import math
import os
from dataclasses import dataclass, field

os.environ.setdefault("MUJOCO_GL", "osmesa")

import mujoco
import numpy as np

CONTROL_HZ = 20
TIMESTEP_S = 0.0025
SUBSTEPS = round(1.0 / (CONTROL_HZ * TIMESTEP_S))
IMAGE_HEIGHT, IMAGE_WIDTH = 128, 160
CAMERAS = ("front", "wrist")
STATE_NAMES = ("yaw.pos", "shoulder.pos", "elbow.pos", "wrist.pos", "gripper.pos")
MAX_STEPS = 100

# Geometry [m]
SHOULDER_HEIGHT = 0.14
UPPER_ARM = 0.22
FOREARM = 0.22
HAND = 0.13  # wrist joint to the point between the finger tips
CUBE_HALF = 0.018
GRIPPER_OPEN = 0.040  # half opening
GRASP_HEIGHT = 0.020  # height of the point between the finger tips when grasping
HOVER_HEIGHT = 0.105
LIFT_HEIGHT = 0.15

COLOURS = ("red", "green", "blue")
_RGBA = {"red": (0.85, 0.10, 0.10), "green": (0.10, 0.65, 0.15), "blue": (0.12, 0.22, 0.88)}

# Every phrase that can name a task. {} is the colour.
PHRASES = {
    "reach": ("reach the {} cube", "move to the {} cube", "go to the {} block"),
    "pick": ("pick up the {} cube", "lift the {} cube", "grab the {} block"),
}

# Where cubes may lie: a ring sector around the arm's base.
RADIUS_RANGE = (0.23, 0.37)
AZIMUTH_RANGE = (-0.75, 0.75)
MIN_CUBE_DISTANCE = 0.095


def _mjcf() -> str:
    cubes = "".join(
        f"""
    <body name="{c}" pos="0.3 {0.12 * (i - 1):.2f} {CUBE_HALF}">
      <freejoint name="{c}"/>
      <geom name="{c}" type="box" size="{CUBE_HALF} {CUBE_HALF} {CUBE_HALF}" mass="0.04"
            rgba="{_RGBA[c][0]} {_RGBA[c][1]} {_RGBA[c][2]} 1" friction="1.6 0.05 0.001"
            condim="4" solref="0.006 1"/>
    </body>"""
        for i, c in enumerate(COLOURS)
    )
    finger_y = 0.006  # half thickness of a finger
    return f"""
<mujoco model="reach">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{TIMESTEP_S}" integrator="implicitfast" cone="elliptic" impratio="5"/>
  <visual>
    <headlight ambient="0.35 0.35 0.35" diffuse="0.45 0.45 0.45" specular="0.05 0.05 0.05"/>
    <quality offsamples="0"/>
    <map znear="0.02" zfar="20"/>
    <global offwidth="640" offheight="480"/>
  </visual>
  <asset>
    <texture name="wood" type="2d" builtin="checker" rgb1="0.72 0.66 0.56" rgb2="0.68 0.62 0.52"
             width="256" height="256"/>
    <material name="wood" texture="wood" texrepeat="6 6" specular="0.1"/>
    <texture name="sky" type="skybox" builtin="gradient" rgb1="0.75 0.80 0.85" rgb2="0.45 0.50 0.55"
             width="64" height="384"/>
  </asset>
  <default>
    <joint damping="1.5" armature="0.02"/>
    <geom contype="1" conaffinity="1"/>
    <default class="arm"><geom rgba="0.92 0.92 0.94 1" contype="0" conaffinity="0" mass="0.2"/></default>
    <default class="finger">
      <geom rgba="0.15 0.15 0.17 1" mass="0.03" friction="1.6 0.05 0.001" condim="4" solref="0.006 1"/>
    </default>
  </default>
  <worldbody>
    <light name="key" pos="0.5 0.6 1.4" dir="-0.2 -0.5 -1" diffuse="0.55 0.55 0.55" castshadow="false"/>
    <geom name="table" type="plane" size="0.9 0.9 0.05" material="wood"/>
    <camera name="front" pos="0.74 0 0.47" xyaxes="0 1 0 -0.69 0 0.72" fovy="38"/>
    <body name="base" pos="0 0 0">
      <geom class="arm" type="cylinder" size="0.055 {SHOULDER_HEIGHT / 2}" pos="0 0 {SHOULDER_HEIGHT / 2}"
            rgba="0.30 0.32 0.36 1"/>
      <body name="turret" pos="0 0 {SHOULDER_HEIGHT}" gravcomp="1">
        <joint name="yaw" axis="0 0 1" range="-1.4 1.4"/>
        <geom class="arm" type="cylinder" size="0.045 0.03"/>
        <body name="upper" gravcomp="1">
          <joint name="shoulder" axis="0 1 0" range="-1.2 1.9"/>
          <geom class="arm" type="capsule" size="0.024" fromto="0 0 0 0 0 {UPPER_ARM}"/>
          <body name="fore" pos="0 0 {UPPER_ARM}" gravcomp="1">
            <joint name="elbow" axis="0 1 0" range="0 2.9"/>
            <geom class="arm" type="capsule" size="0.020" fromto="0 0 0 0 0 {FOREARM}" rgba="0.95 0.75 0.20 1"/>
            <body name="hand" pos="0 0 {FOREARM}" gravcomp="1">
              <joint name="wrist" axis="0 1 0" range="-1.0 2.6"/>
              <geom class="arm" type="capsule" size="0.018" fromto="0 0 0 0 0 {HAND - 0.075}"/>
              <geom class="arm" type="box" size="0.016 0.052 0.010" pos="0 0 {HAND - 0.068}" rgba="0.30 0.32 0.36 1"/>
              <camera name="wrist" pos="-0.085 0 0.015" xyaxes="0 1 0 0.85 0 -0.53" fovy="66"/>
              <site name="tip" pos="0 0 {HAND}" size="0.004" rgba="0 0 0 0"/>
              <body name="left_finger" pos="0 {finger_y} {HAND - 0.030}" gravcomp="1">
                <joint name="left_finger" type="slide" axis="0 1 0" range="0 {GRIPPER_OPEN}" damping="8" armature="0.01"/>
                <geom class="finger" type="box" size="0.011 {finger_y} 0.040"/>
              </body>
              <body name="right_finger" pos="0 {-finger_y} {HAND - 0.030}" gravcomp="1">
                <joint name="right_finger" type="slide" axis="0 -1 0" range="0 {GRIPPER_OPEN}" damping="8" armature="0.01"/>
                <geom class="finger" type="box" size="0.011 {finger_y} 0.040"/>
              </body>
            </body>
          </body>
        </body>
      </body>
    </body>{cubes}
  </worldbody>
  <contact>
    <exclude body1="left_finger" body2="right_finger"/>
  </contact>
  <equality>
    <joint joint1="left_finger" joint2="right_finger" solref="0.005 1"/>
  </equality>
  <actuator>
    <position name="yaw" joint="yaw" kp="120" kv="9" ctrlrange="-1.4 1.4"/>
    <position name="shoulder" joint="shoulder" kp="160" kv="12" ctrlrange="-1.2 1.9"/>
    <position name="elbow" joint="elbow" kp="120" kv="9" ctrlrange="0 2.9"/>
    <position name="wrist" joint="wrist" kp="60" kv="3" ctrlrange="-1.0 2.6"/>
    <position name="gripper" joint="left_finger" kp="400" kv="12" forcerange="-14 14"
              ctrlrange="0 {GRIPPER_OPEN}"/>
  </actuator>
</mujoco>
"""


def inverse_kinematics(point: np.ndarray) -> np.ndarray:
    """Joint angles [yaw, shoulder, elbow, wrist] that bring the point between the
    finger tips to `point` [x, y, z] with the hand pointing straight down.

    A point out of reach is pulled onto the workspace's boundary.
    """
    x, y, z = (float(v) for v in point)
    yaw = math.atan2(y, x)
    r = max(math.hypot(x, y), 0.08)
    h = z + HAND - SHOULDER_HEIGHT  # wrist joint above the shoulder joint
    d = min(math.hypot(r, h), 0.995 * (UPPER_ARM + FOREARM))
    elbow = math.pi - math.acos(
        np.clip((UPPER_ARM**2 + FOREARM**2 - d**2) / (2 * UPPER_ARM * FOREARM), -1, 1)
    )
    inner = math.acos(np.clip((UPPER_ARM**2 + d**2 - FOREARM**2) / (2 * UPPER_ARM * d), -1, 1))
    shoulder = math.pi / 2 - (math.atan2(h, r) + inner)
    wrist = math.pi - shoulder - elbow
    return np.array([yaw, shoulder, elbow, wrist])


@dataclass
class Task:
    """What an episode asks for, and the words that ask it."""

    verb: str
    colour: str
    text: str


@dataclass
class Scene:
    """A random start: everything that one episode depends on, plain numbers."""

    task: Task
    cubes: dict[str, tuple[float, float, float]]  # x, y [m], heading [rad]
    joints: tuple[float, ...]  # start positions of the four arm joints [rad]
    light: tuple[float, float, float] = (0.5, 0.6, 0.55)  # key light x, y [m], brightness


def sample_scene(
    rng: np.random.Generator,
    verbs: tuple[str, ...] = ("reach", "pick"),
    colours: tuple[str, ...] = COLOURS,
) -> Scene:
    """Draws a scene: task, cube places, start pose and light."""
    places: list[tuple[float, float]] = []
    while len(places) < len(COLOURS):
        r, a = rng.uniform(*RADIUS_RANGE), rng.uniform(*AZIMUTH_RANGE)
        p = (r * math.cos(a), r * math.sin(a))
        if all(math.dist(p, q) > MIN_CUBE_DISTANCE for q in places):
            places.append(p)
    cubes = {
        c: (x, y, math.atan2(y, x) + rng.uniform(-0.3, 0.3))
        for c, (x, y) in zip(COLOURS, places, strict=True)
    }
    start = np.array([rng.uniform(0.20, 0.32), 0.0, rng.uniform(0.14, 0.24)])
    joints = inverse_kinematics(start)
    joints[0] = rng.uniform(-0.6, 0.6)
    joints[1:] += rng.uniform(-0.06, 0.06, size=3)
    verb = str(rng.choice(verbs))
    colour = str(rng.choice(colours))
    text = str(rng.choice(PHRASES[verb])).format(colour)
    light = (rng.uniform(0.1, 0.8), rng.uniform(-0.7, 0.7), rng.uniform(0.45, 0.65))
    return Scene(Task(verb, colour, text), cubes, tuple(float(v) for v in joints), light)


def scene_from_dict(row: dict) -> Scene:
    """A scene as meta/scenes.jsonl of a dataset stores it."""
    cubes = {c: tuple(v) for c, v in row["cubes"].items()}
    return Scene(Task(**row["task"]), cubes, tuple(row["joints"]), tuple(row["light"]))


@dataclass
class _Progress:
    held_steps: int = 0
    succeeded_at: int | None = None
    start_places: dict[str, np.ndarray] = field(default_factory=dict)


class ReachEnv:
    """One arm, three cubes, one instruction."""

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(_mjcf())
        self.data = mujoco.MjData(self.model)
        self._renderer: mujoco.Renderer | None = None
        self._arm = [self.model.joint(n).qposadr[0] for n in ("yaw", "shoulder", "elbow", "wrist")]
        self._fingers = [self.model.joint(n).qposadr[0] for n in ("left_finger", "right_finger")]
        self._cube = {c: self.model.joint(c).qposadr[0] for c in COLOURS}
        self._tip = self.model.site("tip").id
        self.scene: Scene | None = None

    # -- episode ---------------------------------------------------------

    def reset(self, scene: Scene) -> None:
        self.scene = scene
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self._arm] = scene.joints
        self.data.qpos[self._fingers] = GRIPPER_OPEN
        for c, (x, y, heading) in scene.cubes.items():
            a = self._cube[c]
            self.data.qpos[a : a + 3] = (x, y, CUBE_HALF)
            self.data.qpos[a + 3 : a + 7] = (math.cos(heading / 2), 0, 0, math.sin(heading / 2))
        self.model.light("key").pos[:2] = scene.light[:2]
        self.model.light("key").dir[:] = np.array([0.3 - scene.light[0], -scene.light[1], -1.4])
        self.model.light("key").diffuse[:] = scene.light[2]
        self.data.ctrl[:4] = scene.joints
        self.data.ctrl[4] = GRIPPER_OPEN
        mujoco.mj_step(self.model, self.data, nstep=SUBSTEPS)
        self.steps = 0
        self._progress = _Progress(start_places={c: self.cube(c) for c in COLOURS})

    def step(self, action: np.ndarray) -> None:
        """Holds the five position targets for one control period."""
        self.data.ctrl[:] = np.clip(
            action, self.model.actuator_ctrlrange[:, 0], self.model.actuator_ctrlrange[:, 1]
        )
        mujoco.mj_step(self.model, self.data, nstep=SUBSTEPS)
        self.steps += 1
        p = self._progress
        p.held_steps = p.held_steps + 1 if self._goal_holds() else 0
        if p.succeeded_at is None and p.held_steps >= 5:
            p.succeeded_at = self.steps

    # -- what the policy sees --------------------------------------------

    def state(self) -> np.ndarray:
        """float32[5], see the module's documentation."""
        fingers = self.data.qpos[self._fingers].mean()
        return np.append(self.data.qpos[self._arm], fingers).astype(np.float32)

    def image(
        self, camera: str, height: int = IMAGE_HEIGHT, width: int = IMAGE_WIDTH
    ) -> np.ndarray:
        """uint8[height, width, 3]"""
        if self._renderer is None or (self._renderer.height, self._renderer.width) != (
            height,
            width,
        ):
            self.close()
            self._renderer = mujoco.Renderer(self.model, height=height, width=width)
            atexit.register(self.close)  # before the graphics library goes
        self._renderer.update_scene(self.data, camera=camera)
        return self._renderer.render().copy()

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    # -- what the expert and the judge see -------------------------------

    def tip(self) -> np.ndarray:
        """Point between the finger tips [m]."""
        return self.data.site_xpos[self._tip].copy()

    def cube(self, colour: str) -> np.ndarray:
        a = self._cube[colour]
        return self.data.qpos[a : a + 3].copy()

    def _goal_holds(self) -> bool:
        task = self.scene.task
        for c in COLOURS:  # leave the other cubes where they are
            if c != task.colour and math.dist(self.cube(c), self._progress.start_places[c]) > 0.03:
                return False
        cube, tip = self.cube(task.colour), self.tip()
        if task.verb == "pick":
            return bool(cube[2] > CUBE_HALF + 0.05 and math.dist(cube, tip) < 0.05)
        return bool(
            math.dist(cube[:2], tip[:2]) < 0.02
            and abs(tip[2] - GRASP_HEIGHT) < 0.02
            and cube[2] < CUBE_HALF + 0.01
            and self.state()[4] > 0.75 * GRIPPER_OPEN
        )

    @property
    def succeeded(self) -> bool:
        """True once the goal has held for five control steps in a row.

        reach: the open fingers straddle the named cube (within 2 cm).
        pick: the named cube is at least 5 cm above the table, in the gripper.
        Both: no other cube was moved by more than 3 cm.
        """
        return self._progress.succeeded_at is not None


class Expert:
    """A scripted teacher that sees the simulator's own cube positions.

    It has no memory: its command is a function of the present pose, so it also
    shows how to recover from a disturbance.
    """

    SPEED = 0.030  # tip displacement asked for per control step [m]

    def __init__(self, env: ReachEnv) -> None:
        self.env = env

    def action(self) -> np.ndarray:
        """float64[5] position targets."""
        env, task = self.env, self.env.scene.task
        cube, tip = env.cube(task.colour), env.tip()
        opening = float(env.state()[4])
        off = math.dist(cube[:2], tip[:2])
        near = off < 0.012 and abs(tip[2] - GRASP_HEIGHT) < 0.010
        holding = CUBE_HALF - 0.006 < opening < CUBE_HALF + 0.003 and math.dist(cube, tip) < 0.03
        gripper = GRIPPER_OPEN
        goal = np.array([cube[0], cube[1], GRASP_HEIGHT])
        if task.verb == "pick" and (
            holding or (opening < 0.9 * GRIPPER_OPEN and off < 0.02 and tip[2] < 0.04)
        ):
            gripper = 0.0
            if holding:
                goal = np.array([tip[0], tip[1], LIFT_HEIGHT])
        elif near and task.verb == "pick":
            gripper = 0.0
        else:  # a funnel above the cube: come down only as the way gets clear
            goal[2] = min(HOVER_HEIGHT, GRASP_HEIGHT + 6.0 * max(0.0, off - 0.008))
        way = goal - tip
        length = float(np.linalg.norm(way))
        if length > self.SPEED:
            way *= self.SPEED / length
        joints = inverse_kinematics(tip + way)
        return np.append(joints, gripper)
