-- The files of a project, for completion. They are listed in the background: what is known is
-- offered, and a list that is old is read again.

local M = {}

--- No more than so many are listed.
M.MOST = 20000
local FRESH_MS = 10000

---@class codex.chat.Files
---@field list string[]
---@field read_at integer?
---@field reading boolean
---@field private waiting fun()[]

---@type table<string, codex.chat.Files>
local known = {}

local SKIPPED = { ['.git'] = true, ['.hg'] = true, ['.jj'] = true, ['.svn'] = true }
local HEAVY = { node_modules = true, __pycache__ = true, ['.venv'] = true, target = true }

--- Without git: folder after folder, so that keys are handled in between.
---@param folder string
---@param done fun(list: string[])
local function walk(folder, done)
  local list, folders = {}, { '' }
  local function step()
    local name = table.remove(folders, 1)
    if not name or #list >= M.MOST then
      done(list)
      return
    end
    vim.uv.fs_scandir(folder .. '/' .. name, function(_, entries)
      while entries do
        local entry, type = vim.uv.fs_scandir_next(entries)
        if not entry then
          break
        end
        local path = name == '' and entry or name .. '/' .. entry
        if type == 'directory' and not SKIPPED[entry] and not HEAVY[entry] then
          table.insert(folders, path)
        elseif type == 'file' or type == 'link' then
          table.insert(list, path)
        end
      end
      step()
    end)
  end
  step()
end

---@param folder string
---@param done fun(list: string[])
local function read(folder, done)
  local command = { 'git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard' }
  local ok = pcall(vim.system, command, { cwd = folder, text = false }, function(result)
    if result.code ~= 0 then
      walk(folder, done)
      return
    end
    local list = {}
    for path in (result.stdout or ''):gmatch('[^%z]+') do
      table.insert(list, path)
      if #list >= M.MOST then
        break
      end
    end
    done(list)
  end)
  if not ok then -- there is no git
    walk(folder, done)
  end
end

--- Have the files of a folder; `changed` is called if a newer list has come later.
---@param folder string
---@param changed fun()?
---@return string[] relative paths
function M.get(folder, changed)
  local files = known[folder] or { list = {}, reading = false, waiting = {} }
  known[folder] = files
  local is_old = not files.read_at or vim.uv.now() - files.read_at > FRESH_MS
  if is_old and changed then
    table.insert(files.waiting, changed)
  end
  if is_old and not files.reading then
    files.reading = true
    read(folder, function(list)
      vim.schedule(function()
        local same = vim.deep_equal(list, files.list)
        files.list, files.read_at, files.reading = list, vim.uv.now(), false
        local waiting = files.waiting
        files.waiting = {}
        for _, fn in ipairs(same and {} or waiting) do
          fn()
        end
      end)
    end)
  end
  return files.list
end

return M
